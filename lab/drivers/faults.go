package drivers

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/lab/internal/subprocess"
	"github.com/memstreamer/memstreamer/sqlite"
)

var kills = flag.Int("kills", 5, "how often Faults kills its child, if all that it is for has happened by then")

// Faults kills a process again and again whose streamers are closed and opened, whose
// engine writes all the time, whose disk is full now and then, and whose consumers
// come and go while retention drops events. Two consumers are shards. Some of its
// streamers delay acks, and half of its Sends and Acks are by InTx, beside a row. Its
// judge checks what the process was told against what it finds later, and what a streamer
// finds in the end.
func Faults(t *testing.T, d Driver) {
	file := filepath.Join(t.TempDir(), "test.db")
	j := newJudge(t)
	for n := 0; n < *kills || n < 20**kills && j.missing() != ""; n++ {
		subprocess.Run(t, []string{childFile + "=" + file}, time.Duration(200+rand.IntN(800))*time.Millisecond, j.line)
	}

	db, err := d.open(d.DSN(file), 1)
	require.NoError(t, err)
	defer func() { assert.NoError(t, db.Close()) }()
	var ok string
	require.NoError(t, db.QueryRow(`PRAGMA integrity_check`).Scan(&ok))
	require.Equal(t, "ok", ok)
	s, err := sqlite.New(t.Context(), db)
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	j.opened()
	for _, r := range s.Stats().Receivers {
		j.found(consumer{r.Topic, r.Name})
	}
	for _, topic := range topics {
		snd, err := s.NewSender(t.Context(), topic)
		require.NoError(t, err)
		for range shards { // one for each, since their IDs follow each other
			require.NoError(t, snd.Send(t.Context(), "last", 1, nil))
		}
		for _, name := range consumers {
			r, err := s.NewReceiver(t.Context(), topic, name, options(name)...)
			require.NoError(t, err)
			for {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				e, ack, err := r.Recv(ctx)
				cancel()
				require.NoError(t, err)
				if e.ForeignID == "last" {
					break
				}
				j.received(consumer{topic, name}, e.ForeignID, e.ID)
				require.NoError(t, ack())
			}
		}
	}
	j.finish()
	j.beside(db)
}

type consumer struct{ topic, name string }

// effect is a row beside an ack.
type effect struct {
	consumer
	id int64
}

// judge checks that no event that was sent is lost, none comes again once it was acked,
// each comes again whose ack failed, no ID is given twice, no event is there whose Send
// failed, no consumer that was forgotten, and no row without its event. An ack that was
// delayed may be lost, but not by Close. That no event is acked twice by InTx, the child
// sees by its rows.
type judge struct {
	t         *testing.T
	sent      map[string][]string // confirmed, by topic
	failed    map[string]bool     // events
	ids       map[int64]string    // the event of each ID
	got       map[consumer]map[string]bool
	acked     map[consumer]int64 // the greatest ID confirmed
	delayed   map[consumer]int64 // the same, of this streamer, which may yet be lost
	last      map[consumer]int64 // the last ID received, by this streamer
	effects   map[effect]bool    // of acks by InTx, confirmed
	again     map[consumer]int64 // the ID that has to come next, since its ack failed
	forgotten map[consumer]bool
	counts    map[string]int // lines, by what they say
}

func newJudge(t *testing.T) *judge {
	j := &judge{
		t:         t,
		sent:      make(map[string][]string),
		failed:    make(map[string]bool),
		ids:       make(map[int64]string),
		got:       make(map[consumer]map[string]bool),
		acked:     make(map[consumer]int64),
		delayed:   make(map[consumer]int64),
		last:      make(map[consumer]int64),
		effects:   make(map[effect]bool),
		again:     make(map[consumer]int64),
		forgotten: make(map[consumer]bool),
		counts:    make(map[string]int),
	}
	for _, topic := range topics {
		for _, name := range consumers {
			j.got[consumer{topic, name}] = make(map[string]bool)
		}
	}
	return j
}

// line takes a line of the child.
func (j *judge) line(line string) {
	var what, foreignID string
	var c consumer
	var id int64
	_, err := fmt.Sscan(line, &what, &c.topic, &c.name, &foreignID, &id)
	require.NoError(j.t, err, line)
	if what == "failed" {
		j.counts[what+": "+c.name]++
	} else {
		j.counts[what]++
	}
	switch what {
	case "opened":
		j.opened()
	case "found":
		j.found(c)
	case "making":
		delete(j.forgotten, c)
	case "forgot":
		j.forgotten[c] = true
	case "sent":
		j.sent[c.topic] = append(j.sent[c.topic], foreignID)
	case "failed":
		j.failed[foreignID] = true
	case "received":
		j.received(c, foreignID, id)
	case "effect":
		j.effects[effect{c, id}] = true
	case "acked":
		j.acked[c] = id
	case "delayed":
		j.delayed[c] = id
	case "closed":
		for c, id := range j.delayed {
			j.acked[c] = max(j.acked[c], id)
		}
	case "unacked":
		j.again[c] = id
	default:
		require.Fail(j.t, line)
	}
}

func (j *judge) opened() {
	clear(j.last)
	clear(j.delayed)
}

func (j *judge) found(c consumer) {
	assert.False(j.t, j.forgotten[c], "%s is there after it was forgotten", c)
	assert.NotEqual(j.t, ephemeral, c.name, "it is there after a restart")
}

func (j *judge) received(c consumer, foreignID string, id int64) {
	if known := j.ids[id]; known != "" {
		assert.Equal(j.t, known, foreignID, "ID %d is given twice", id)
	}
	j.ids[id] = foreignID
	got := j.got[c]
	if got == nil {
		return // it comes and goes
	}
	got[foreignID] = true
	assert.True(j.t, has(c.name, id), "%s received event %d of another shard", c, id)
	assert.Greater(j.t, id, max(j.acked[c], j.delayed[c]), "%s received event %d after its ack", c, id)
	assert.GreaterOrEqual(j.t, id, j.last[c], "%s received event %d out of order", c, id)
	j.last[c] = id
	if again := j.again[c]; again > 0 {
		assert.Equal(j.t, again, id, "%s did not receive the event again whose ack failed", c)
		delete(j.again, c)
	}
}

// finish judges what has to be true once everything was received.
func (j *judge) finish() {
	ids := make(map[string]int64)
	for id, foreignID := range j.ids {
		ids[foreignID] = id
	}
	for c, got := range j.got {
		for _, foreignID := range j.sent[c.topic] {
			assert.True(j.t, got[foreignID] || !has(c.name, ids[foreignID]), "%s never received %s", c, foreignID)
		}
	}
	for _, foreignID := range j.ids {
		assert.False(j.t, j.failed[foreignID], "%s is there, whose Send has failed", foreignID)
	}
	j.t.Log(j.counts)
	assert.Empty(j.t, j.missing(), "it has not happened")
}

// beside checks that a row is there beside each event that was sent by InTx and each
// ack, and that each row's event was received.
func (j *judge) beside(db *sql.DB) {
	there := make(map[string]bool)
	rows, err := db.Query(`SELECT foreign_id FROM sent`)
	require.NoError(j.t, err)
	defer rows.Close()
	for rows.Next() {
		var foreignID string
		require.NoError(j.t, rows.Scan(&foreignID))
		there[foreignID] = true
	}
	require.NoError(j.t, rows.Err())
	for _, foreignID := range j.ids {
		if strings.HasPrefix(foreignID, inTxPrefix) {
			assert.True(j.t, there[foreignID], "%s is there without its row", foreignID)
			delete(there, foreignID)
		}
	}
	assert.Empty(j.t, there, "rows are there without their events")

	rows, err = db.Query(`SELECT topic, name, id FROM acked`)
	require.NoError(j.t, err)
	defer rows.Close()
	for rows.Next() {
		var e effect
		require.NoError(j.t, rows.Scan(&e.topic, &e.name, &e.id))
		delete(j.effects, e)
	}
	require.NoError(j.t, rows.Err())
	assert.Empty(j.t, j.effects, "acks are there without their rows")
}

// missing returns what has yet to happen in the child.
func (j *judge) missing() string {
	for _, what := range []string{"found", "forgot", "sent", "failed: closed", "failed: deadline", "failed: full", "failed: own", "acked", "effect", "unacked", "delayed", "closed"} {
		if j.counts[what] == 0 {
			return what
		}
	}
	return ""
}
