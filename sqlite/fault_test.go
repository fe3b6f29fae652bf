package sqlite_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/sqlite"
)

var errInjected = errors.New("disk I/O error (injected)")

// faults make a driver go wrong. Each is asked before a statement and after it,
// and may fail it or panic.
type faults struct {
	driver driver.Driver
	dsn    string
	before atomic.Pointer[func(query string) error]
	after  atomic.Pointer[func(query string) error]
}

func (f *faults) Driver() driver.Driver { return f.driver }

func (f *faults) Connect(context.Context) (driver.Conn, error) {
	c, err := f.driver.Open(f.dsn)
	return &faultyConn{c, f}, err
}

func ask(fault *atomic.Pointer[func(string) error], query string) error {
	if f := fault.Load(); f != nil {
		return (*f)(query)
	}
	return nil
}

type faultyConn struct {
	driver.Conn
	faults *faults
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := ask(&c.faults.before, query); err != nil {
		return nil, err
	}
	result, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
	if err == nil {
		err = ask(&c.faults.after, query)
	}
	return result, err
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := ask(&c.faults.before, query); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

// openFaulty returns a database, and what makes it go wrong.
func openFaulty(t testing.TB, file string) (*sql.DB, *faults) {
	t.Helper()
	db, err := openDB(file, 1)
	require.NoError(t, err)
	f := &faults{driver: db.Driver(), dsn: "file:" + file + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)"}
	require.NoError(t, db.Close())
	db = sql.OpenDB(f)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db, f
}

// when returns a fault of the statements that begin with prefix: the first n.
func when(prefix string, n int64, fault func() error) *func(string) error {
	var seen atomic.Int64
	f := func(query string) error {
		if strings.HasPrefix(query, prefix) && seen.Add(1) <= n {
			return fault()
		}
		return nil
	}
	return &f
}

func fails() error { return errInjected }

// foreignIDs returns those of a topic's events by a new receiver, up to the event
// that it sends last.
func foreignIDs(t testing.TB, s memstreamer.EventStreamer, topic string) (ids []string) {
	t.Helper()
	r, err := s.NewReceiver(t.Context(), topic, "foreign-ids")
	require.NoError(t, err)
	send(t, s, topic, 1)
	for {
		e, ack, err := r.Recv(t.Context())
		require.NoError(t, err)
		require.NoError(t, ack())
		if e.ForeignID == lastOrder {
			require.NoError(t, r.Close())
			return ids
		}
		ids = append(ids, e.ForeignID)
	}
}

// TestFailures has a statement of a Send fail, and looks for the event in the
// streamer and, after a restart, in the database.
func TestFailures(t *testing.T) {
	for name, test := range map[string]struct {
		inject func(*faults)
		sent   bool // the Send succeeds
		kept   bool // its event is there
	}{
		"no fault":                   {func(*faults) {}, true, true},
		"BEGIN":                      {func(f *faults) { f.before.Store(when("BEGIN", 1, fails)) }, false, false},
		"INSERT, before":             {func(f *faults) { f.before.Store(when("INSERT", 1, fails)) }, true, true},
		"INSERT, before, again":      {func(f *faults) { f.before.Store(when("INSERT", 2, fails)) }, false, false},
		"INSERT, after":              {func(f *faults) { f.after.Store(when("INSERT", 2, fails)) }, false, false},
		"COMMIT that did not happen": {func(f *faults) { f.before.Store(when("COMMIT", 1, fails)) }, false, false},
		"COMMIT that did happen":     {func(f *faults) { f.after.Store(when("COMMIT", 1, fails)) }, true, true},
		"COMMIT that another was at": {func(f *faults) {
			f.before.Store(when("COMMIT", 5, func() error { return errors.New("database is locked") }))
		}, true, true},
		"COMMIT, and nothing is read": {func(f *faults) { f.before.Store(when("SELECT", 1, fails)); f.after.Store(when("COMMIT", 1, fails)) }, false, true},
		"COMMIT and ROLLBACK": {func(f *faults) {
			f.before.Store(func() *func(string) error {
				commit, rollback := when("COMMIT", 1, fails), when("ROLLBACK", 1, fails)
				both := func(q string) error { return errors.Join((*commit)(q), (*rollback)(q)) }
				return &both
			}())
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := tempFile(t)
			db, faults := openFaulty(t, file)
			s, err := sqlite.New(t.Context(), db)
			require.NoError(t, err)
			snd, err := s.NewSender(t.Context(), "orders")
			require.NoError(t, err)
			require.NoError(t, snd.Send(t.Context(), "before", 1, nil))

			test.inject(faults)
			err = snd.Send(t.Context(), "event", 1, nil)
			if test.sent {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, errInjected)
			}
			want := []string{"before", "event"}
			if !test.kept {
				want = want[:1]
			}
			assert.Equal(t, want, foreignIDs(t, s, "orders"))
			require.NoError(t, s.Close())

			s = open(t, openFile(t, file, 1))
			require.NoError(t, s.Forget(t.Context(), "orders", "foreign-ids"))
			assert.Equal(t, want, foreignIDs(t, s, "orders"))
		})
	}
}

// TestFailureOfOne has one of many that share a transaction be to blame.
func TestFailureOfOne(t *testing.T) {
	db, faults := openFaulty(t, tempFile(t))
	s := open(t, db)
	_, err := db.Exec(`CREATE TRIGGER refuse BEFORE INSERT ON memstreamer_events WHEN NEW.foreign_id = 'bad' BEGIN SELECT RAISE(ABORT, 'refused'); END`)
	require.NoError(t, err)
	_ = faults
	conn, err := db.Conn(t.Context()) // which has them wait
	require.NoError(t, err)
	snd, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	const n = 20
	errs := make([]error, n)
	var sending sync.WaitGroup
	for i := range n {
		sending.Go(func() {
			id := "good"
			if i == n/2 {
				id = "bad"
			}
			errs[i] = snd.Send(t.Context(), id, i, nil)
		})
	}
	time.Sleep(50 * time.Millisecond) // most of them, then; all of them is not needed
	require.NoError(t, conn.Close())
	sending.Wait()
	for i, err := range errs {
		if i == n/2 {
			assert.ErrorContains(t, err, "refused")
		} else {
			assert.NoError(t, err)
		}
	}
	assert.Len(t, foreignIDs(t, s, "orders"), n-1)
	for _, topic := range s.Stats().Topics {
		assert.EqualValues(t, n, topic.LastID, "an ID was spent on the one refused")
	}
}

// TestAckFails has the commit of an Ack fail: the event is received again.
func TestAckFails(t *testing.T) {
	db, faults := openFaulty(t, tempFile(t))
	s := open(t, db)
	send(t, s, "orders", 2)
	r, err := s.NewReceiver(t.Context(), "orders", "a")
	require.NoError(t, err)
	e, ack, err := r.Recv(t.Context())
	require.NoError(t, err)
	faults.before.Store(when("COMMIT", 1, fails))
	require.ErrorIs(t, ack(), errInjected)
	again, _, err := r.Recv(t.Context())
	require.NoError(t, err)
	assert.Equal(t, e, again)
	require.NoError(t, ack())
	next, _, err := r.Recv(t.Context())
	require.NoError(t, err)
	assert.Greater(t, next.ID, e.ID)
	faults.after.Store(when("COMMIT", 1, fails)) // it happened
	require.NoError(t, ack())
}

// TestCommitFailsWithAckAgain has a COMMIT fail of a Send and of an Ack that was
// written before: that it is there does not tell of the Send.
func TestCommitFailsWithAckAgain(t *testing.T) {
	db, faults := openFaulty(t, tempFile(t))
	s := open(t, db)
	sendAs(t, s, "orders", "a")
	r := newReceiver(t, s, "orders", "name")
	_, ack := recv(t, r)
	var commits atomic.Int64
	committing, goOn := make(chan struct{}), make(chan struct{})
	fault := func(query string) error {
		if query != "COMMIT" {
			return nil
		}
		switch commits.Add(1) {
		case 1:
			close(committing)
			<-goOn
		case 2:
			return errInjected
		}
		return nil
	}
	faults.before.Store(&fault)
	first, again, sent := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { first <- ack() }()
	<-committing
	go func() { again <- ack() }()
	go func() {
		snd, err := s.NewSender(t.Context(), "orders")
		if err == nil {
			err = snd.Send(t.Context(), "b", 1, nil)
		}
		sent <- err
	}()
	time.Sleep(20 * time.Millisecond) // both wait by then, or the test shows less
	close(goOn)
	require.NoError(t, <-first)
	sendErr := <-sent
	<-again
	faults.before.Store(nil)
	if sendErr == nil {
		take(t, r, "b")
	} else {
		empty(t, r)
	}
	var rows int
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM memstreamer_events WHERE foreign_id = 'b'`).Scan(&rows))
	assert.Equal(t, sendErr == nil, rows == 1, "the Send returned %v", sendErr)
}

// TestOutcomeIsAwaited ends the context of a Send that another call is writing.
func TestOutcomeIsAwaited(t *testing.T) {
	db, faults := openFaulty(t, tempFile(t))
	s := open(t, db)
	snd, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	conn, err := db.Conn(t.Context()) // which has them wait
	require.NoError(t, err)
	committing, goOn := make(chan struct{}), make(chan struct{})
	faults.before.Store(when("COMMIT", 1, func() error {
		close(committing)
		<-goOn
		return nil
	}))
	led, followed := make(chan error, 1), make(chan error, 1)
	go func() { led <- snd.Send(t.Context(), "a", 1, nil) }()
	require.Eventually(t, func() bool { return db.Stats().WaitCount > 0 }, time.Minute, 10*time.Microsecond)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { followed <- snd.Send(ctx, "b", 1, nil) }()
	time.Sleep(20 * time.Millisecond) // it waits by then, or the test shows less
	require.NoError(t, conn.Close())
	<-committing
	cancel()
	time.Sleep(5 * time.Millisecond)
	close(goOn)
	require.NoError(t, <-led)
	want := []string{"a"}
	if <-followed == nil {
		want = append(want, "b")
	}
	assert.Equal(t, want, foreignIDs(t, s, "orders"))
}

// TestNewReceiverFails has the commit of a new name fail, which then is not there.
func TestNewReceiverFails(t *testing.T) {
	db, faults := openFaulty(t, tempFile(t))
	s := open(t, db)
	send(t, s, "orders", 1)
	faults.before.Store(when("COMMIT", 1, fails))
	_, err := s.NewReceiver(t.Context(), "orders", "a")
	require.ErrorIs(t, err, errInjected)
	assert.Empty(t, s.Stats().Receivers)
	r, err := s.NewReceiver(t.Context(), "orders", "a")
	require.NoError(t, err)
	require.NoError(t, r.Close())
	faults.before.Store(when("BEGIN", 1, fails))
	_, err = s.NewReceiver(t.Context(), "orders", "a") // it has nothing to write
	require.NoError(t, err)
}

// TestForgetFails has the commit of a Forget fail, and then that of a new cursor:
// what the database has of the old one is not taken for it.
func TestForgetFails(t *testing.T) {
	db, faults := openFaulty(t, tempFile(t))
	s, err := sqlite.New(t.Context(), db)
	require.NoError(t, err)
	sendAs(t, s, "orders", "a", "b")
	r := newReceiver(t, s, "orders", "name")
	take(t, r, "a", "b")
	require.NoError(t, r.Close())
	faults.before.Store(when("COMMIT", 2, fails))
	require.ErrorIs(t, s.Forget(t.Context(), "orders", "name"), errInjected)
	_, err = s.NewReceiver(t.Context(), "orders", "name")
	require.ErrorIs(t, err, errInjected)
	newReceiver(t, s, "orders", "name")
	require.NoError(t, s.Close())
	take(t, newReceiver(t, open(t, db), "orders", "name"), "a", "b")
}

// TestPanicOfAnother has the driver panic in a transaction that calls share: it
// panics in one of them, and the others fail.
func TestPanicOfAnother(t *testing.T) {
	db, faults := openFaulty(t, tempFile(t))
	s := open(t, db)
	conn, err := db.Conn(t.Context()) // which has them wait
	require.NoError(t, err)
	snd, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	faults.before.Store(when("COMMIT", 1, func() error { panic("driver") }))
	const n = 8
	var panics, failures atomic.Int64
	var sending sync.WaitGroup
	for range n {
		sending.Go(func() {
			defer func() {
				if recover() != nil {
					panics.Add(1)
				}
			}()
			if err := snd.Send(t.Context(), "event", 1, nil); err != nil {
				assert.ErrorContains(t, err, "panicked")
				failures.Add(1)
			}
		})
	}
	time.Sleep(20 * time.Millisecond) // most of them wait by then
	require.NoError(t, conn.Close())
	sending.Wait()
	assert.EqualValues(t, 1, panics.Load())
	assert.Len(t, foreignIDs(t, s, "orders"), n-1-int(failures.Load()))
}

// TestPanic has the driver panic, in each statement of a Send.
func TestPanic(t *testing.T) {
	for _, statement := range []string{"BEGIN", "INSERT", "COMMIT"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after it: %t", statement, after), func(t *testing.T) {
				db, faults := openFaulty(t, tempFile(t))
				s := open(t, db)
				snd, err := s.NewSender(t.Context(), "orders")
				require.NoError(t, err)
				point := &faults.before
				if after {
					point = &faults.after
				}
				point.Store(when(statement, 1, func() error { panic("driver") }))
				assert.PanicsWithValue(t, "driver", func() { _ = snd.Send(t.Context(), "event", 1, nil) })
				var want []string
				if statement == "COMMIT" && after {
					want = []string{"event"}
				}
				assert.Equal(t, want, foreignIDs(t, s, "orders"))
			})
		}
	}
}

// TestFullDisk fills the database up to its limit, and raises it.
func TestFullDisk(t *testing.T) {
	file := tempFile(t)
	db := openFile(t, file, 1)
	s, err := sqlite.New(t.Context(), db)
	require.NoError(t, err)
	_, err = db.Exec(`PRAGMA max_page_count = 64`)
	require.NoError(t, err)
	snd, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	var want []string
	large := map[memstreamer.Header]string{"large": strings.Repeat("x", 3000)}
	for i := 0; ; i++ {
		id := fmt.Sprint(i)
		if err = snd.Send(t.Context(), id, i, large); err != nil {
			break
		}
		want = append(want, id)
	}
	require.ErrorContains(t, err, "full")
	require.ErrorContains(t, snd.Send(t.Context(), "full", 0, large), "full")
	assert.EqualValues(t, len(want), s.Stats().Topics[0].Retained)

	_, err = db.Exec(`PRAGMA max_page_count = 1000000`)
	require.NoError(t, err)
	assert.Equal(t, want, foreignIDs(t, s, "orders"))
	require.NoError(t, s.Close())
	s = open(t, openFile(t, file, 1))
	require.NoError(t, s.Forget(t.Context(), "orders", "foreign-ids"))
	assert.Equal(t, want, foreignIDs(t, s, "orders"))
}

// TestDatabaseClosed closes the database under the streamer.
func TestDatabaseClosed(t *testing.T) {
	file := tempFile(t)
	db := openFile(t, file, 1)
	s := open(t, db)
	send(t, s, "orders", 2)
	r, err := s.NewReceiver(t.Context(), "orders", "a")
	require.NoError(t, err)
	_, ack, err := r.Recv(t.Context())
	require.NoError(t, err)
	snd, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	require.NoError(t, db.Close())

	require.ErrorContains(t, snd.Send(t.Context(), "c", 1, nil), "database is closed")
	require.ErrorContains(t, ack(), "database is closed")
	e, _, err := r.Recv(t.Context())
	require.NoError(t, err, "what is kept is in memory")
	assert.EqualValues(t, 1, e.ID)
	_, err = sqlite.New(t.Context(), db)
	require.ErrorContains(t, err, "database is closed")
}

// TestGroupCommit has eight senders share commits that take as long as a disk's.
func TestGroupCommit(t *testing.T) {
	const senders, each = 8, 25
	db, faults := openFaulty(t, tempFile(t))
	s := open(t, db)
	var commits atomic.Int64
	slow := func(query string) error {
		if query == "COMMIT" {
			commits.Add(1)
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	}
	faults.before.Store(&slow)
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() { send(t, s, "orders", each) })
	}
	sending.Wait()
	t.Logf("%d events in %d commits", senders*each, commits.Load())
	assert.LessOrEqual(t, commits.Load(), int64(senders*each/4))
}
