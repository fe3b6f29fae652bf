package sqlite

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

func TestRestart(t *testing.T) {
	s := open(t, tempDB(t))
	sendAs(t, s, "orders", "a", "b", "c")
	sendAs(t, s, "parcels", "p")
	take(t, newReceiver(t, s, "orders", "one"), "a")
	two := newReceiver(t, s, "orders", "two")
	take(t, two, "a", "b")
	recv(t, two) // and no ack
	newReceiver(t, s, "orders", "latest", memstreamer.StreamFromLatest())
	newReceiver(t, s, "orders", "new")
	before := kept(s)

	s = reopen(t, s)
	require.Equal(t, before, kept(s))
	take(t, newReceiver(t, s, "orders", "one"), "b", "c")
	take(t, newReceiver(t, s, "orders", "two"), "c")
	take(t, newReceiver(t, s, "orders", "new"), "a", "b", "c")
	latest := newReceiver(t, s, "orders", "latest")
	empty(t, latest)
	sendAs(t, s, "orders", "d")
	take(t, latest, "d")
	assert.EqualValues(t, 5, s.Stats().Topics[0].LastID, "IDs go on")

	s = reopen(t, s)
	for _, name := range []string{"one", "two", "new"} {
		take(t, newReceiver(t, s, "orders", name), "d")
	}
	empty(t, newReceiver(t, s, "orders", "latest", memstreamer.StreamFromLatest()))
}

// TestStored sends what is hard to store.
func TestStored(t *testing.T) {
	type headers = map[memstreamer.Header]string
	events := []memstreamer.Event{
		{ForeignID: "nil"},
		{ForeignID: "empty", Headers: headers{}},
		{ForeignID: "", Type: math.MinInt, Headers: headers{"": ""}},
		{ForeignID: "not UTF-8 \xff", Type: math.MaxInt, Headers: headers{"plain": "text"}},
		{ForeignID: "a zero \x00", Headers: headers{"zero": "\x00", "\x00": "zero"}},
		{ForeignID: "not UTF-8", Headers: headers{"bytes": "\xff\xfe", "\xff": "name", "plain": "text"}},
		{ForeignID: "quotes", Headers: headers{`"`: `\"`, "lines": "a\nb\r", "html": "<&>", "emoji": "🙂\u2028"}},
		{ForeignID: `looks like {"a":"b"}`, Headers: headers{"json": `{"a":"b"}`, "colon": `:`, "comma": ",", "brace": "}"}},
	}
	topics := []string{"plain", "not UTF-8 \xff", "a zero \x00", "a quote '\""}
	c := new(clock)
	c.add(time.Hour + 1)
	// Times are local, whatever the clock's are.
	s := open(t, tempDB(t), WithClock(clockFunc(func() time.Time { return c.Now().UTC() })))
	for _, topic := range topics {
		snd := newSender(t, s, topic)
		for _, e := range events {
			require.NoError(t, snd.Send(t.Context(), e.ForeignID, e.Type, e.Headers))
		}
	}
	check := func() {
		for _, topic := range topics {
			r := newReceiver(t, s, topic, topic+"'s")
			for _, want := range events {
				e, ack, err := r.Recv(t.Context())
				require.NoError(t, err)
				want.ID, want.CreatedAt = e.ID, c.Now()
				assert.Equal(t, want, *e)
				require.NoError(t, ack())
			}
		}
	}
	check()
	var plain string
	require.NoError(t, s.db.QueryRow(`SELECT headers->>'plain' FROM memstreamer_events WHERE topic = 'plain' AND headers->>'plain' IS NOT NULL LIMIT 1`).Scan(&plain))
	assert.Equal(t, "text", plain)
	s = reopen(t, s)
	for _, topic := range topics {
		r := newReceiver(t, s, topic, topic+"'s")
		empty(t, r)
		require.NoError(t, r.Close())
		require.NoError(t, s.Forget(t.Context(), topic, topic+"'s"))
	}
	s = reopen(t, s)
	check()
}

// TestStreamFromLast has new consumers start by the age of events, before a restart and
// after it, and resume where they were.
func TestStreamFromLast(t *testing.T) {
	c := new(clock)
	s := open(t, tempDB(t), WithClock(c))
	for _, id := range []string{"a", "b", "c"} {
		sendAs(t, s, "orders", id)
		c.add(time.Minute)
	}
	open := func(name string, d time.Duration) memstreamer.EventReceiver {
		return newReceiver(t, s, "orders", name, memstreamer.StreamFromLast(d))
	}
	take(t, open("two", 2*time.Minute), "b")
	open("none", time.Second)
	s = reopen(t, s, WithClock(c))
	take(t, open("new", 2*time.Minute), "b", "c")
	c.add(time.Hour)
	take(t, open("two", 2*time.Minute), "c")
	empty(t, open("none", 24*time.Hour))
	take(t, open("all", 24*time.Hour), "a", "b", "c")
	_, err := s.NewReceiver(t.Context(), "orders", "name", memstreamer.StreamFromLast(-1))
	require.ErrorContains(t, err, "memstreamer/sqlite: NewReceiver: option 1 of 1: StreamFromLast(-1ns)")
}

// TestRetentionAcrossRestarts drops what is old, but what a name has un-acked.
func TestRetentionAcrossRestarts(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	c := new(clock)
	opts := []Option{WithClock(c), WithRetention(10 * time.Minute)}
	s := open(t, tempDB(t), opts...)
	sweep := func() { // each transaction deletes some
		c.add(20 * time.Minute)
		for range 40 {
			sendAs(t, s, "sweep", "x")
		}
	}
	takeStuck := func(foreignIDs ...string) {
		r := newReceiver(t, s, "orders", "stuck")
		take(t, r, foreignIDs...)
		require.NoError(t, r.Close())
	}
	newReceiver(t, s, "orders", "stuck")
	r := newReceiver(t, s, "parcels", "done")
	sendAs(t, s, "orders", many...)
	sendAs(t, s, "parcels", many...)
	take(t, r, many...)
	require.NoError(t, r.Close())
	require.Equal(t, 2000, rows(t, s, "events"))
	require.Equal(t, 2, rows(t, s, "cursors"))
	sweep()
	assert.LessOrEqual(t, rows(t, s, "events"), 1000+40)
	assert.Equal(t, 1, rows(t, s, "cursors"), "the name that was done is forgotten")

	s = reopen(t, s, opts...)
	c.add(9 * time.Minute) // less than the retention since the start
	takeStuck(many[:500]...)

	s = reopen(t, s, opts...)
	c.add(9 * time.Minute)
	sendAs(t, s, "sweep", "x")
	takeStuck(many[500:510]...)
	sweep()
	assert.LessOrEqual(t, rows(t, s, "events"), 40, "nobody came for the rest")
	assert.Equal(t, 0, rows(t, s, "cursors"))

	s = reopen(t, s, opts...)
	empty(t, newReceiver(t, s, "orders", "stuck"))
	sendAs(t, s, "orders", "again")
	assert.Greater(t, s.Stats().Topics[0].LastID, int64(2000), "IDs go on")
}

// TestDeletingIsBounded drops far more than one transaction deletes. Each call that
// writes deletes a part, and a Forget its own row first.
func TestDeletingIsBounded(t *testing.T) {
	const n = 5 * sweepLimit
	c := new(clock)
	s := open(t, tempDB(t))
	_, err := s.db.Exec(fmt.Sprintf(`WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < %d)
		INSERT INTO memstreamer_events SELECT n, 'orders', 'a', 1, NULL, 0 FROM i`, n))
	require.NoError(t, err)
	_, err = s.db.Exec(`INSERT INTO memstreamer_cursors (topic, name, position, acked_id) SELECT 'orders', id, 0, 0 FROM memstreamer_events`)
	require.NoError(t, err)
	s = reopen(t, s, WithClock(c), WithRetention(time.Minute))
	c.add(time.Minute + 1)
	forgotten := newReceiver(t, s, "orders", "forgotten")
	require.Equal(t, n+1-sweepLimit, rows(t, s, "cursors"))
	require.NoError(t, forgotten.Close())
	s.Stats() // which has memory drop what is old
	require.NoError(t, s.Forget(t.Context(), "orders", "forgotten"))
	require.Zero(t, lifeOf(t, s, "forgotten"))
	for left := n - sweepLimit; left >= 0; left -= sweepLimit {
		require.Equal(t, max(left-sweepLimit, 0), rows(t, s, "cursors"))
		require.Equal(t, left, rows(t, s, "events WHERE foreign_id = 'a'"))
		sendAs(t, s, "orders", "new")
	}
}

// TestOldestIsKept has the retention drop events all the time: rows of the oldest event
// of a topic, and of the first of a topic that is new, stay while somebody has them
// un-acked.
func TestOldestIsKept(t *testing.T) {
	const n = 50
	c := new(clock)
	opts := []Option{WithClock(c), WithRetention(time.Minute)}
	s := open(t, tempDB(t), opts...)
	newReceiver(t, s, "oldest", "name")
	sendAs(t, s, "oldest", "first")
	for i := range n {
		c.add(30 * time.Second)
		sendAs(t, s, "dropped", "x")
		topic := fmt.Sprint("new-", i)
		newReceiver(t, s, topic, "name")
		sendAs(t, s, topic, "first", "second")
	}
	require.Less(t, rows(t, s, "events"), 2*n+5, "none is dropped")
	s = reopen(t, s, opts...)
	take(t, newReceiver(t, s, "oldest", "name"), "first")
	for i := range n {
		take(t, newReceiver(t, s, fmt.Sprint("new-", i), "name"), "first", "second")
	}
}

// TestLastIDIsKept deletes all rows, the newest first.
func TestLastIDIsKept(t *testing.T) {
	s := open(t, tempDB(t))
	sendAs(t, s, "orders", "a", "b", "c")
	require.NoError(t, s.Close())
	for id := 3; id > 0; id-- {
		_, err := s.db.Exec(`DELETE FROM memstreamer_events WHERE id = ?`, id)
		require.NoError(t, err)
	}
	s = open(t, s.db)
	sendAs(t, s, "orders", "d")
	require.EqualValues(t, 4, s.Stats().Topics[0].LastID)
}

func TestForget(t *testing.T) {
	s := open(t, tempDB(t))
	sendAs(t, s, "orders", "a", "b")
	r := newReceiver(t, s, "orders", "name")
	take(t, r, "a")
	require.ErrorContains(t, s.Forget(t.Context(), "orders", "name"), "open")
	_, late := recv(t, r)
	require.NoError(t, r.Close())
	for _, topic := range []string{"orders", "orders", "unknown"} {
		require.NoError(t, s.Forget(t.Context(), topic, "name"))
	}
	r = newReceiver(t, s, "orders", "name")
	require.NoError(t, late())
	take(t, r, "a")
	holds(t, s, "a", "b") // and forgets its name

	s = reopen(t, s)
	take(t, newReceiver(t, s, "orders", "name"), "b")
	holds(t, s, "a", "b")
}

// TestRowsDeleted deletes rows while the streamer is closed: in the middle, and
// the newest.
func TestRowsDeleted(t *testing.T) {
	s := open(t, tempDB(t))
	sendAs(t, s, "orders", "a", "b", "c", "d")
	newReceiver(t, s, "orders", "name")
	take(t, newReceiver(t, s, "orders", "two"), "a", "b")
	require.NoError(t, s.Close())
	_, err := s.db.Exec(`DELETE FROM memstreamer_events WHERE foreign_id IN ('b', 'd')`)
	require.NoError(t, err)

	s = open(t, s.db)
	take(t, newReceiver(t, s, "orders", "name"), "a", "c")
	take(t, newReceiver(t, s, "orders", "two"), "c")
	sendAs(t, s, "orders", "e")
	assert.EqualValues(t, 5, s.Stats().Topics[0].LastID, "no ID is given twice")
}

func TestInUse(t *testing.T) {
	file := tempFile(t)
	first := open(t, openFile(t, file, 1))
	db := openFile(t, file, 1)
	_, err := New(t.Context(), db)
	require.ErrorIs(t, err, ErrInUse)
	assert.ErrorContains(t, err, "memstreamer.lock")
	_, err = New(t.Context(), db, WithPrefix("MemStreamer"))
	require.ErrorIs(t, err, ErrInUse, "SQLite's names have no case")
	link := filepath.Join(t.TempDir(), "link.db")
	require.NoError(t, os.Symlink(file, link))
	_, err = New(t.Context(), openFile(t, link, 1))
	require.ErrorIs(t, err, ErrInUse, "by another path")
	t.Chdir(filepath.Dir(file))
	_, err = New(t.Context(), openFile(t, filepath.Base(file), 1))
	require.ErrorIs(t, err, ErrInUse, "by a relative path")
	other := open(t, db, WithPrefix("another"))
	sendAs(t, first, "orders", "a")
	sendAs(t, other, "orders", "b")
	holds(t, first, "a")
	holds(t, other, "b")
	require.NoError(t, first.Close())
	open(t, db)
}

// TestAckAfterClose acks after the streamer was closed: while nobody else has the
// database, while another has, and after that.
func TestAckAfterClose(t *testing.T) {
	s := open(t, tempDB(t))
	sendAs(t, s, "orders", "a", "b", "c")
	_, ack := recv(t, newReceiver(t, s, "orders", "name"))
	_, ackTwo := recv(t, newReceiver(t, s, "orders", "two"))
	require.NoError(t, s.Close())
	require.NoError(t, ack())
	require.NoError(t, ack())

	next := open(t, s.db)
	require.ErrorIs(t, ackTwo(), ErrInUse)
	take(t, newReceiver(t, next, "orders", "two"), "a", "b")
	take(t, newReceiver(t, next, "orders", "name"), "b")
	require.NoError(t, next.Close())
	require.NoError(t, ackTwo())

	last := open(t, s.db)
	take(t, newReceiver(t, last, "orders", "two"), "c")
	take(t, newReceiver(t, last, "orders", "name"), "c")
}

// TestAckAfterCloseOfWhatIsOld acks after another streamer had the database, and
// after all that the first one knows is too old: it deletes nothing of the other's.
func TestAckAfterCloseOfWhatIsOld(t *testing.T) {
	c := new(clock)
	opts := []Option{WithClock(c), WithRetention(time.Minute)}
	s := open(t, tempDB(t), opts...)
	sendAs(t, s, "orders", "a", "b")
	idle := newReceiver(t, s, "orders", "name")
	take(t, idle, "a")
	require.NoError(t, idle.Close())
	_, ack := recv(t, newReceiver(t, s, "orders", "late"))

	next := reopen(t, s, opts...)
	r := newReceiver(t, next, "orders", "name") // and has it open
	c.add(time.Hour)
	require.NoError(t, next.Close())
	for range 3 {
		s.Stats() // which has memory drop what is old
		require.NoError(t, ack())
	}
	last := open(t, s.db, opts...)
	take(t, newReceiver(t, last, "orders", "name"), "b")
	_, _, err := r.Recv(t.Context())
	require.ErrorIs(t, err, memstreamer.ErrClosed)
}
