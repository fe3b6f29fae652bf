package drivers

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/sqlite"
)

// childFile is set in the environment of a test binary that is to be the child of
// Faults, to the database's file.
const childFile = "MEMSTREAMER_FAULTS_FILE"

// The child has these topics, and on each the consumers that are always open, two
// senders, a consumer that is made and forgotten all the time, and an ephemeral receiver.
// The last two of consumers share the events of a topic, the others receive every one.
var (
	topics    = []string{"topic-0", "topic-1"}
	consumers = []string{"name-0", "name-1", "shard-0", "shard-1"}
	shards    = consumers[2:]
)

// has reports whether a consumer receives the event of that ID.
func has(name string, id int64) bool {
	shard := slices.Index(shards, name)
	return shard < 0 || id%int64(len(shards)) == int64(shard)
}

// options returns those that a consumer is opened with.
func options(name string) []memstreamer.ReceiverOption {
	if shard := slices.Index(shards, name); shard >= 0 {
		return []memstreamer.ReceiverOption{memstreamer.Shard(shard, len(shards))}
	}
	return nil
}

const (
	fleeting  = "fleeting"
	ephemeral = "ephemeral"

	// childRetention has the child drop events and delete their rows all the time.
	childRetention = 200 * time.Millisecond
)

// child uses one streamer after another, as fast as it can, until it is killed. It
// writes a line to stdout before or after each call that Faults judges.
func child(d Driver, file string) {
	pool := 1 + 3*rand.IntN(2)
	db, err := d.open(d.DSN(file), pool)
	check(err)
	engine, err := d.open(d.DSN(file), 1)
	check(err)
	// The first connection sets the journal's mode, beside which no other may open.
	for _, table := range []string{
		`engine (id INTEGER PRIMARY KEY, data BLOB)`,
		`sent (foreign_id TEXT PRIMARY KEY)`,
		`acked (topic TEXT, name TEXT, id INTEGER, PRIMARY KEY (topic, name, id))`,
	} {
		_, err = engine.Exec(`CREATE TABLE IF NOT EXISTS ` + table)
		check(err)
	}
	go saturate(engine)
	go fill(db)
	for {
		useStreamer(db)
	}
}

// check ends the child for an error that nothing here is the reason of.
func check(err error) {
	if err != nil {
		log.Fatal("the child failed: ", err)
	}
}

// say writes a line: what has happened to which event. The name of one that failed to be
// sent is the reason.
func say(what, topic, name, foreignID string, id int64) {
	fmt.Println(what, topic, name, foreignID, id)
}

// saturate has the engine write nearly all the time: most of its transactions are
// short, and some take 200 ms. It takes the pages that deleted rows leave.
func saturate(db *sql.DB) {
	for {
		tx, err := db.Begin()
		check(err)
		_, err = tx.Exec(`INSERT INTO engine (data) VALUES (zeroblob(20000))`)
		check(err)
		if rand.IntN(20) == 0 {
			time.Sleep(200 * time.Millisecond)
		} else {
			time.Sleep(rand.N(4 * time.Millisecond))
		}
		check(tx.Commit())
		time.Sleep(rand.N(2 * time.Millisecond))
	}
}

// fill has the disk be full now and then, for those who use one of the connections.
func fill(db *sql.DB) {
	for {
		time.Sleep(rand.N(40 * time.Millisecond))
		pages := 1 << 30
		if rand.IntN(3) == 0 {
			pages = 1 // which SQLite takes for as many as there are
		}
		check(db.QueryRow(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)).Scan(new(int)))
	}
}

// reason returns why a call failed. It ends the child for an error that nothing here is
// the reason of.
func reason(err error) string {
	switch {
	case errors.Is(err, memstreamer.ErrClosed):
		return "closed"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case strings.Contains(err.Error(), "is full"):
		return "full"
	case errors.Is(err, errOwn):
		return "own"
	}
	check(err)
	return ""
}

// unknown reports whether err says that what failed may have been written.
func unknown(err error) bool { return strings.Contains(err.Error(), "outcome of a COMMIT is unknown") }

// user uses one streamer, until that is closed.
type user struct {
	*sqlite.Streamer
	delays bool // its acks

	mu   sync.Mutex
	late []func() // acks, for after Close
}

// useStreamer opens a streamer, uses and closes it.
func useStreamer(db *sql.DB) {
	// The clock stands still until the consumers are open: that may take longer than
	// childRetention, and they would then be forgotten as they should.
	var ready atomic.Bool
	started := time.Now()
	delay := time.Duration(rand.IntN(2)) * 20 * time.Millisecond
	s, err := sqlite.New(context.Background(), db, sqlite.WithRetention(childRetention), sqlite.WithAckTimeout(100*time.Millisecond), sqlite.WithAckDelay(delay), sqlite.WithClock(clockFunc(func() time.Time {
		if ready.Load() {
			return time.Now()
		}
		return started
	})))
	if err != nil {
		reason(err)
		return
	}
	say("opened", "-", "-", "-", 0)
	for _, r := range s.Stats().Receivers {
		say("found", r.Topic, r.Name, "-", 0)
	}
	u := &user{Streamer: s, delays: delay > 0}
	var using sync.WaitGroup
	for _, topic := range topics {
		for _, name := range consumers {
			r := u.receiver(topic, name, options(name)...)
			using.Go(func() { u.receive(r, topic, name) })
		}
	}
	ready.Store(true)
	for _, topic := range topics {
		for range 2 {
			using.Go(func() { u.send(topic) })
		}
		using.Go(func() { u.comeAndGo(topic) })
		using.Go(func() { u.receiveEphemeral(topic) })
	}
	time.Sleep(rand.N(300 * time.Millisecond))
	err = s.Close()
	using.Wait()
	switch {
	case err == nil:
		say("closed", "-", "-", "-", 0)
		u.delays = false
	case u.delays: // they are lost
		reason(err)
	default:
		check(err)
	}
	for _, ack := range u.late {
		ack()
	}
}

type clockFunc func() time.Time

func (f clockFunc) Now() time.Time { return f() }

// receiver opens a receiver, as often as it takes. It returns nil if the streamer is
// closed.
func (u *user) receiver(topic, name string, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		r, err := u.NewReceiver(ctx, topic, name, opts...)
		cancel()
		if err == nil {
			return r
		}
		if reason(err) == "closed" {
			return nil
		}
	}
}

// next receives an event for up to d. It returns none if there is none by then, or the
// streamer is closed.
func next(r memstreamer.EventReceiver, topic, name string, d time.Duration) (*memstreamer.Event, memstreamer.Ack) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	e, ack, err := r.Recv(ctx)
	if err != nil {
		reason(err)
		return nil, nil
	}
	say("received", topic, name, e.ForeignID, e.ID)
	return e, ack
}

// receive receives and acks, one half by InTx with a row that must not be there yet, and
// leaves some acks for after Close.
func (u *user) receive(r memstreamer.EventReceiver, topic, name string) {
	for {
		e, ack := next(r, topic, name, time.Hour)
		if e == nil {
			return
		}
		id, foreignID := e.ID, e.ForeignID
		inTx := rand.IntN(2) == 0
		if inTx {
			ack = func() error { return u.ackInTx(topic, name, id) }
		}
		ackAndSay := func() {
			delays := u.delays
			err := ack()
			if err == nil && inTx {
				say("effect", topic, name, foreignID, id)
			}
			switch {
			case err == nil && delays && !inTx:
				say("delayed", topic, name, foreignID, id)
			case err == nil || errors.Is(err, sqlite.ErrAcked):
				say("acked", topic, name, foreignID, id)
			case reason(err) != "" && !unknown(err) && !delays:
				say("unacked", topic, name, foreignID, id)
			}
		}
		if rand.IntN(50) == 0 {
			u.mu.Lock()
			u.late = append(u.late, ackAndSay)
			u.mu.Unlock()
			return
		}
		ackAndSay()
	}
}

// ackInTx acks an event, and has its effect.
func (u *user) ackInTx(topic, name string, id int64) error {
	return u.inTx(context.Background(), func(tx *sqlite.Tx) error {
		return cmp.Or(tx.Ack(topic, name, id), insert(tx, `INSERT INTO acked (topic, name, id) VALUES (?, ?, ?)`, topic, name, id))
	})
}

// inTx calls InTx with a function that fails now and then.
func (u *user) inTx(ctx context.Context, f func(tx *sqlite.Tx) error) error {
	return u.InTx(ctx, func(tx *sqlite.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		if rand.IntN(10) == 0 {
			return errOwn
		}
		return nil
	})
}

// send sends, half of the time with little patience, and half of the time by InTx with a
// row beside the event.
func (u *user) send(topic string) {
	snd, err := u.NewSender(context.Background(), topic)
	if err != nil {
		return // it was closed
	}
	for {
		ctx, cancel := context.WithCancel(context.Background())
		if rand.IntN(2) == 0 {
			ctx, cancel = context.WithTimeout(ctx, rand.N(20*time.Millisecond))
		}
		foreignID := fmt.Sprintf("%d-%d", os.Getpid(), sent.Add(1))
		headers := map[memstreamer.Header]string{"run_id": foreignID}
		if rand.IntN(2) == 0 {
			foreignID = inTxPrefix + foreignID
			err = u.inTx(ctx, func(tx *sqlite.Tx) error {
				return cmp.Or(insert(tx, `INSERT INTO sent (foreign_id) VALUES (?)`, foreignID), tx.Send(topic, foreignID, 1, headers))
			})
		} else {
			err = snd.Send(ctx, foreignID, 1, headers)
		}
		cancel()
		if err == nil {
			say("sent", topic, "-", foreignID, 0)
			continue
		}
		why := reason(err)
		if !unknown(err) {
			say("failed", topic, why, foreignID, 0)
		}
		if why == "closed" {
			return
		}
	}
}

// inTxPrefix begins the names of events beside which there is a row.
const inTxPrefix = "tx-"

var sent atomic.Int64 // events of this process, for their names

// comeAndGo makes a consumer, receives a few events, and forgets it.
func (u *user) comeAndGo(topic string) {
	for {
		say("making", topic, fleeting, "-", 0)
		r := u.receiver(topic, fleeting, memstreamer.StreamFromLast(50*time.Millisecond))
		if r == nil {
			return
		}
		for range rand.IntN(4) {
			if e, ack := next(r, topic, fleeting, 5*time.Millisecond); e != nil {
				_ = ack()
			}
		}
		check(r.Close())
		ctx, cancel := context.WithTimeout(context.Background(), rand.N(50*time.Millisecond))
		err := u.Forget(ctx, topic, fleeting)
		cancel()
		if err != nil {
			reason(err)
			continue
		}
		say("forgot", topic, fleeting, "-", 0)
		if rand.IntN(4) == 0 {
			return
		}
	}
}

// receiveEphemeral has a receiver that is ephemeral.
func (u *user) receiveEphemeral(topic string) {
	for {
		r := u.receiver(topic, ephemeral, memstreamer.Ephemeral(), memstreamer.StreamFromLatest())
		if r == nil {
			return
		}
		for range 10 {
			if e, ack := next(r, topic, ephemeral, 5*time.Millisecond); e != nil {
				check(ack())
			}
		}
		check(r.Close())
	}
}
