package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/sqlite"
)

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// lives calls each of its functions with a streamer on one database, which is
// closed after it and opened again for the next.
func lives(t *testing.T, opts []sqlite.Option, lives ...func(s *sqlite.Streamer, db *sql.DB)) {
	t.Helper()
	db := openFile(t, tempFile(t), 1)
	for _, life := range lives {
		s, err := sqlite.New(t.Context(), db, opts...)
		require.NoError(t, err)
		life(s, db)
		require.NoError(t, s.Close())
	}
}

func sendAs(t *testing.T, s memstreamer.EventStreamer, topic string, foreignIDs ...string) {
	t.Helper()
	snd, err := s.NewSender(t.Context(), topic)
	require.NoError(t, err)
	for i, id := range foreignIDs {
		require.NoError(t, snd.Send(t.Context(), id, i, nil))
	}
	require.NoError(t, snd.Close())
}

func newReceiver(t *testing.T, s memstreamer.EventStreamer, topic, name string, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
	t.Helper()
	r, err := s.NewReceiver(t.Context(), topic, name, opts...)
	require.NoError(t, err)
	return r
}

// recv receives an event, and returns its foreign ID.
func recv(t *testing.T, r memstreamer.EventReceiver) (string, memstreamer.Ack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e, ack, err := r.Recv(ctx)
	require.NoError(t, err)
	return e.ForeignID, ack
}

// take receives and acks these.
func take(t *testing.T, r memstreamer.EventReceiver, foreignIDs ...string) {
	t.Helper()
	for _, want := range foreignIDs {
		got, ack := recv(t, r)
		require.Equal(t, want, got)
		require.NoError(t, ack())
	}
}

// empty sees that r has nothing to receive.
func empty(t *testing.T, r memstreamer.EventReceiver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, _, err := r.Recv(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestRestart(t *testing.T) {
	var before memstreamer.Stats
	lives(t, nil, func(s *sqlite.Streamer, _ *sql.DB) {
		sendAs(t, s, "orders", "a", "b", "c")
		sendAs(t, s, "parcels", "p")
		take(t, newReceiver(t, s, "orders", "one"), "a")
		r := newReceiver(t, s, "orders", "two")
		take(t, r, "a", "b")
		recv(t, r) // and no ack
		newReceiver(t, s, "orders", "latest", memstreamer.StreamFromLatest())
		newReceiver(t, s, "orders", "new")
		before = s.Stats()
	}, func(s *sqlite.Streamer, _ *sql.DB) {
		after := s.Stats()
		require.Len(t, after.Receivers, len(before.Receivers))
		for i, r := range after.Receivers {
			assert.Equal(t, before.Receivers[i].AckedID, r.AckedID, r.Name)
			assert.Equal(t, before.Receivers[i].Lag, r.Lag, r.Name)
			assert.Zero(t, r.Open)
		}
		for i, topic := range after.Topics {
			assert.Equal(t, before.Topics[i].FirstID, topic.FirstID)
			assert.Equal(t, before.Topics[i].LastID, topic.LastID)
		}
		take(t, newReceiver(t, s, "orders", "one"), "b", "c")
		take(t, newReceiver(t, s, "orders", "two"), "c")
		take(t, newReceiver(t, s, "orders", "new"), "a", "b", "c")
		latest := newReceiver(t, s, "orders", "latest")
		empty(t, latest)
		sendAs(t, s, "orders", "d")
		take(t, latest, "d")
		assert.EqualValues(t, 5, s.Stats().Topics[0].LastID, "IDs go on")
	}, func(s *sqlite.Streamer, _ *sql.DB) {
		for _, name := range []string{"one", "two", "new"} {
			take(t, newReceiver(t, s, "orders", name), "d")
		}
		empty(t, newReceiver(t, s, "orders", "latest", memstreamer.StreamFromLatest()))
	})
}

// TestStored sends what is hard to store.
func TestStored(t *testing.T) {
	type headers = map[memstreamer.Header]string
	c := newClock()
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
	check := func(s *sqlite.Streamer, _ *sql.DB) {
		for _, topic := range topics {
			r := newReceiver(t, s, topic, topic+"'s")
			for _, want := range events {
				e, ack, err := r.Recv(t.Context())
				require.NoError(t, err)
				assert.True(t, c.Now().Equal(e.CreatedAt))
				want.ID, want.CreatedAt = e.ID, e.CreatedAt
				assert.Equal(t, want, *e)
				require.NoError(t, ack())
			}
		}
	}
	lives(t, []sqlite.Option{sqlite.WithClock(c)}, func(s *sqlite.Streamer, db *sql.DB) {
		for _, topic := range topics {
			snd, err := s.NewSender(t.Context(), topic)
			require.NoError(t, err)
			for _, e := range events {
				require.NoError(t, snd.Send(t.Context(), e.ForeignID, e.Type, e.Headers))
			}
		}
		check(s, db)
		var plain string
		require.NoError(t, db.QueryRow(`SELECT headers->>'plain' FROM memstreamer_events WHERE topic = 'plain' AND headers->>'plain' IS NOT NULL LIMIT 1`).Scan(&plain))
		assert.Equal(t, "text", plain)
	}, func(s *sqlite.Streamer, _ *sql.DB) {
		for _, topic := range topics {
			empty(t, newReceiver(t, s, topic, topic+"'s"))
		}
	}, func(s *sqlite.Streamer, _ *sql.DB) {
		for _, topic := range topics {
			require.NoError(t, s.Forget(t.Context(), topic, topic+"'s"))
		}
	}, check)
}

// TestRetentionAcrossRestarts drops what is old, but what a name has un-acked.
func TestRetentionAcrossRestarts(t *testing.T) {
	c := newClock()
	rows := func(db *sql.DB, table string) (n int) {
		require.NoError(t, db.QueryRow("SELECT count(*) FROM memstreamer_"+table).Scan(&n))
		return n
	}
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	// Calls sweep, and passes over the tables are apart.
	sweep := func(s *sqlite.Streamer) {
		for range 40 {
			c.add(10 * time.Minute / 16)
			sendAs(t, s, "sweep", "x")
		}
	}
	lives(t, []sqlite.Option{sqlite.WithClock(c), sqlite.WithRetention(10 * time.Minute)}, func(s *sqlite.Streamer, db *sql.DB) {
		newReceiver(t, s, "orders", "stuck")
		r := newReceiver(t, s, "parcels", "done")
		sendAs(t, s, "orders", many...)
		sendAs(t, s, "parcels", many...)
		take(t, r, many...)
		require.NoError(t, r.Close())
		require.Equal(t, 2000, rows(db, "events"))
		require.Equal(t, 2, rows(db, "cursors"))
		sweep(s)
		assert.Less(t, rows(db, "events"), 1000+40)
		assert.Equal(t, 1, rows(db, "cursors"), "the name that was done is forgotten")
	}, func(s *sqlite.Streamer, _ *sql.DB) {
		c.add(9 * time.Minute) // less than the retention since the start
		r := newReceiver(t, s, "orders", "stuck")
		take(t, r, many[:500]...)
		require.NoError(t, r.Close())
	}, func(s *sqlite.Streamer, db *sql.DB) {
		c.add(9 * time.Minute)
		sendAs(t, s, "sweep", "x")
		r := newReceiver(t, s, "orders", "stuck")
		take(t, r, many[500:510]...)
		require.NoError(t, r.Close())
		sweep(s)
		assert.Less(t, rows(db, "events"), 40, "nobody came for the rest")
		assert.Equal(t, 0, rows(db, "cursors"))
	}, func(s *sqlite.Streamer, _ *sql.DB) {
		empty(t, newReceiver(t, s, "orders", "stuck"))
		sendAs(t, s, "orders", "again")
		assert.Greater(t, s.Stats().Topics[0].LastID, int64(2000), "IDs go on")
	})
}

func TestForget(t *testing.T) {
	lives(t, nil, func(s *sqlite.Streamer, _ *sql.DB) {
		sendAs(t, s, "orders", "a", "b")
		r := newReceiver(t, s, "orders", "name")
		take(t, r, "a")
		require.ErrorContains(t, s.Forget(t.Context(), "orders", "name"), "open")
		_, late := recv(t, r)
		require.NoError(t, r.Close())
		require.NoError(t, s.Forget(t.Context(), "orders", "name"))
		require.NoError(t, s.Forget(t.Context(), "orders", "name"))
		require.NoError(t, s.Forget(t.Context(), "unknown", "name"))
		r = newReceiver(t, s, "orders", "name")
		require.NoError(t, late())
		take(t, r, "a")
		require.NoError(t, r.Close())
		again := newReceiver(t, s, "orders", "forgotten")
		take(t, again, "a")
		require.NoError(t, again.Close())
		require.NoError(t, s.Forget(t.Context(), "orders", "forgotten"))
	}, func(s *sqlite.Streamer, _ *sql.DB) {
		take(t, newReceiver(t, s, "orders", "name"), "b")
		take(t, newReceiver(t, s, "orders", "forgotten"), "a", "b")
	})
}

// TestRowsDeleted deletes rows while the streamer is closed: in the middle, and
// the newest.
func TestRowsDeleted(t *testing.T) {
	db := openFile(t, tempFile(t), 1)
	s := open(t, db)
	sendAs(t, s, "orders", "a", "b", "c", "d")
	newReceiver(t, s, "orders", "name")
	take(t, newReceiver(t, s, "orders", "two"), "a", "b")
	require.NoError(t, s.Close())
	_, err := db.Exec(`DELETE FROM memstreamer_events WHERE foreign_id IN ('b', 'd')`)
	require.NoError(t, err)

	s = open(t, db)
	take(t, newReceiver(t, s, "orders", "name"), "a", "c")
	take(t, newReceiver(t, s, "orders", "two"), "c")
	sendAs(t, s, "orders", "e")
	assert.EqualValues(t, 5, s.Stats().Topics[0].LastID, "no ID is given twice")
}

func TestInUse(t *testing.T) {
	file := tempFile(t)
	first := open(t, openFile(t, file, 1))
	db := openFile(t, file, 1)
	_, err := sqlite.New(t.Context(), db)
	require.ErrorIs(t, err, sqlite.ErrInUse)
	assert.ErrorContains(t, err, "memstreamer.lock")
	_, err = sqlite.New(t.Context(), db, sqlite.WithPrefix("MemStreamer"))
	require.ErrorIs(t, err, sqlite.ErrInUse, "SQLite's names have no case")
	link := filepath.Join(t.TempDir(), "link.db")
	require.NoError(t, os.Symlink(file, link))
	_, err = sqlite.New(t.Context(), openFile(t, link, 1))
	require.ErrorIs(t, err, sqlite.ErrInUse, "by another path")
	t.Chdir(filepath.Dir(file))
	_, err = sqlite.New(t.Context(), openFile(t, filepath.Base(file), 1))
	require.ErrorIs(t, err, sqlite.ErrInUse, "by a relative path")
	other := open(t, db, sqlite.WithPrefix("another"))
	sendAs(t, first, "orders", "a")
	sendAs(t, other, "orders", "b")
	take(t, newReceiver(t, first, "orders", "name"), "a")
	take(t, newReceiver(t, other, "orders", "name"), "b")
	require.NoError(t, first.Close())
	open(t, db)
}

// TestAckAfterClose acks after the streamer was closed: while nobody else has the
// database, while another has, and after that.
func TestAckAfterClose(t *testing.T) {
	file := tempFile(t)
	db := openFile(t, file, 1)
	s := open(t, db)
	sendAs(t, s, "orders", "a", "b", "c")
	_, ack := recv(t, newReceiver(t, s, "orders", "name"))
	two := newReceiver(t, s, "orders", "two")
	_, ackTwo := recv(t, two)
	require.NoError(t, s.Close())
	require.NoError(t, ack())
	require.NoError(t, ack())

	next := open(t, db)
	require.ErrorIs(t, ackTwo(), sqlite.ErrInUse)
	take(t, newReceiver(t, next, "orders", "two"), "a", "b")
	take(t, newReceiver(t, next, "orders", "name"), "b")
	require.NoError(t, next.Close())
	require.NoError(t, ackTwo())

	last := open(t, db)
	take(t, newReceiver(t, last, "orders", "two"), "c")
	take(t, newReceiver(t, last, "orders", "name"), "c")
}

// TestAckAfterCloseOfWhatIsOld acks after another streamer had the database, and
// after all that the first one knows is too old: it deletes nothing of the other's.
func TestAckAfterCloseOfWhatIsOld(t *testing.T) {
	c := newClock()
	opts := []sqlite.Option{sqlite.WithClock(c), sqlite.WithRetention(time.Minute)}
	db := openFile(t, tempFile(t), 1)
	s := open(t, db, opts...)
	sendAs(t, s, "orders", "a", "b")
	idle := newReceiver(t, s, "orders", "name")
	take(t, idle, "a")
	require.NoError(t, idle.Close())
	_, ack := recv(t, newReceiver(t, s, "orders", "late"))
	require.NoError(t, s.Close())

	next := open(t, db, opts...)
	r := newReceiver(t, next, "orders", "name") // and has it open
	c.add(time.Hour)
	require.NoError(t, next.Close())
	for range 3 {
		s.Stats() // which has memory drop what is old
		require.NoError(t, ack())
	}
	last := open(t, db, opts...)
	take(t, newReceiver(t, last, "orders", "name"), "b")
	_, _, err := r.Recv(t.Context())
	require.ErrorIs(t, err, memstreamer.ErrClosed)
}

// TestHeld has the engine hold the only connection.
func TestHeld(t *testing.T) {
	db := openFile(t, tempFile(t), 1)
	s := open(t, db, sqlite.WithAckTimeout(20*time.Millisecond))
	sendAs(t, s, "orders", "a")
	r := newReceiver(t, s, "orders", "name")
	snd, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)

	tx, err := db.Begin()
	require.NoError(t, err)
	_, ack := recv(t, r) // needs none
	require.ErrorIs(t, ack(), context.DeadlineExceeded)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, snd.Send(ctx, "withdrawn", 1, nil), context.DeadlineExceeded)
	_, err = s.NewReceiver(ctx, "orders", "another")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, newReceiver(t, s, "orders", "name").Close(), "it is known")

	sent := make(chan error)
	go func() { sent <- snd.Send(t.Context(), "b", 1, nil) }()
	time.Sleep(5 * time.Millisecond)
	require.NoError(t, tx.Rollback())
	require.NoError(t, <-sent)
	take(t, r, "a", "b")
	empty(t, r)
}

// TestAge has an event wait for longer than the retention to be committed: its age
// counts from its Send, and a new name does not get it.
func TestAge(t *testing.T) {
	c := newClock()
	db := openFile(t, tempFile(t), 1)
	s := open(t, db, sqlite.WithClock(c), sqlite.WithRetention(time.Minute))
	newReceiver(t, s, "orders", "holds")
	snd, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	tx, err := db.Begin()
	require.NoError(t, err)
	sent := make(chan error)
	go func() { sent <- snd.Send(t.Context(), "old", 1, nil) }()
	require.Eventually(t, func() bool { return db.Stats().WaitCount > 0 }, time.Minute, 10*time.Microsecond)
	c.add(time.Hour)
	require.NoError(t, tx.Rollback())
	require.NoError(t, <-sent)
	empty(t, newReceiver(t, s, "orders", "new"))
	take(t, newReceiver(t, s, "orders", "holds"), "old")
}

// TestLocked has another connection hold the database's lock.
func TestLocked(t *testing.T) {
	db := openFile(t, tempFile(t), 8)
	s := open(t, db)
	snd, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	tx, err := db.Begin() // which is immediate
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	require.ErrorIs(t, snd.Send(ctx, "withdrawn", 1, nil), context.DeadlineExceeded)
	assert.Less(t, time.Since(start), 4*time.Second, "it waited for SQLite's own time")
	sent := make(chan error)
	go func() { sent <- snd.Send(t.Context(), "a", 1, nil) }()
	time.Sleep(5 * time.Millisecond)
	require.NoError(t, tx.Rollback())
	require.NoError(t, <-sent)
	take(t, newReceiver(t, s, "orders", "name"), "a")

	for range 8 {
		var timeout int
		require.NoError(t, db.QueryRow(`PRAGMA busy_timeout`).Scan(&timeout))
		assert.Equal(t, 5000, timeout, "the engine's setting")
	}
}

// TestCloseWakes closes the streamer while calls wait for the database.
func TestCloseWakes(t *testing.T) {
	db := openFile(t, tempFile(t), 1)
	s := open(t, db)
	tx, err := db.Begin()
	require.NoError(t, err)
	errs := make(chan error)
	for i := range 4 {
		snd, err := s.NewSender(t.Context(), "orders")
		require.NoError(t, err)
		go func() { errs <- snd.Send(t.Context(), fmt.Sprint(i), 1, nil) }()
	}
	go func() {
		_, err := s.NewReceiver(t.Context(), "orders", "name")
		errs <- err
	}()
	time.Sleep(5 * time.Millisecond)
	require.NoError(t, s.Close())
	for range 5 {
		require.ErrorIs(t, <-errs, memstreamer.ErrClosed)
	}
	require.NoError(t, tx.Rollback())
	require.ErrorIs(t, s.Forget(t.Context(), "orders", "name"), memstreamer.ErrClosed)
	s = open(t, db)
	assert.Empty(t, s.Stats().Receivers)
	assert.Empty(t, foreignIDs(t, s, "orders"))
}

func TestNewRefuses(t *testing.T) {
	_, err := sqlite.New(t.Context(), nil)
	require.ErrorContains(t, err, "db is nil")
	db := openFile(t, ":memory:", 8)
	_, err = sqlite.New(t.Context(), db)
	require.ErrorContains(t, err, "SetMaxOpenConns(1)")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = sqlite.New(ctx, db)
	require.ErrorIs(t, err, context.Canceled)

	file := tempFile(t)
	readOnly, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	require.NoError(t, err)
	defer readOnly.Close()
	_, err = sqlite.New(t.Context(), readOnly)
	require.ErrorContains(t, err, "unable to open")
	db = openFile(t, file, 1)
	require.NoError(t, db.Ping())
	_, err = sqlite.New(t.Context(), readOnly)
	require.ErrorContains(t, err, "readonly")
	_, err = sqlite.New(t.Context(), db, sqlite.WithPrefix("sqlite"))
	require.ErrorContains(t, err, "reserved")
	for want, opt := range map[string]sqlite.Option{
		"option 1 of 1 is nil":    nil,
		"the clock is nil":        sqlite.WithClock(nil),
		"the logger is nil":       sqlite.WithLogger(nil),
		"-1s is not positive":     sqlite.WithAckTimeout(-time.Second),
		`"" is not a prefix`:      sqlite.WithPrefix(""),
		`"a b" is not a prefix`:   sqlite.WithPrefix("a b"),
		`"1a" is not a prefix`:    sqlite.WithPrefix("1a"),
		`"a;\n" is not a prefix`:  sqlite.WithPrefix("a;\n"),
		`"a\nb" is not a prefix`:  sqlite.WithPrefix("a\nb"),
		`"kürze" is not a prefix`: sqlite.WithPrefix("kürze"),
	} {
		_, err := sqlite.New(t.Context(), db, opt)
		assert.ErrorContains(t, err, want)
	}

	s := open(t, db)
	sendAs(t, s, "orders", "a")
	require.NoError(t, s.Close())
	_, err = db.Exec(`UPDATE memstreamer_events SET headers = '{"a":1}'`)
	require.NoError(t, err)
	_, err = sqlite.New(t.Context(), db)
	require.ErrorContains(t, err, "event 1: the headers are not a JSON object of strings")
	_, err = db.Exec(`UPDATE memstreamer_events SET headers = NULL; UPDATE memstreamer_schema SET version = 2`)
	require.NoError(t, err)
	_, err = sqlite.New(t.Context(), db)
	require.ErrorContains(t, err, "version 2")
	require.ErrorContains(t, err, "version 1")
	_, err = db.Exec(`UPDATE memstreamer_schema SET version = 1`)
	require.NoError(t, err)
	open(t, db)

	text := tempFile(t)
	require.NoError(t, os.WriteFile(text, []byte("this is no database, and longer than a header of one would be: 100 bytes, and a few to be on the safe side"), 0o600))
	bad, err := sql.Open("sqlite", text)
	require.NoError(t, err)
	defer bad.Close()
	_, err = sqlite.New(t.Context(), bad)
	require.ErrorContains(t, err, "not a database")
}

func TestClockOutOfRange(t *testing.T) {
	c := &clock{}
	s := open(t, openFile(t, tempFile(t), 1), sqlite.WithClock(c))
	snd, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	require.ErrorContains(t, snd.Send(t.Context(), "a", 1, nil), "between the years 1678 and 2262")
}
