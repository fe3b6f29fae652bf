package sqlite

import (
	"context"
	"database/sql"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// hold has the engine begin a transaction, and returns what ends it.
func hold(t *testing.T, db *sql.DB) (release func()) {
	t.Helper()
	tx, err := db.Begin() // which is immediate
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback()) }
}

// TestHeld has the engine hold the only connection.
func TestHeld(t *testing.T) {
	s := open(t, tempDB(t), WithAckTimeout(20*time.Millisecond))
	sendAs(t, s, "orders", "a")
	r := newReceiver(t, s, "orders", "name")
	release := hold(t, s.db)
	_, ack := recv(t, r) // needs none
	require.ErrorIs(t, ack(), context.DeadlineExceeded)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, sendOne(ctx, s), context.DeadlineExceeded)
	_, err := s.NewReceiver(ctx, "orders", "another")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, newReceiver(t, s, "orders", "name").Close(), "it is known")

	sent := start(t, s, func() error { return sendOne(t.Context(), s) })
	release()
	require.NoError(t, <-sent[0])
	take(t, r, "a", "order-1001")
	empty(t, r)
}

// TestAge has an event wait for longer than the retention to be committed: its age
// counts from its Send, and a new name does not get it.
func TestAge(t *testing.T) {
	c := new(clock)
	s := open(t, tempDB(t), WithClock(c), WithRetention(time.Minute))
	r := newReceiver(t, s, "orders", "holds")
	release := hold(t, s.db)
	sent := start(t, s, func() error { return sendOne(t.Context(), s) })
	c.add(time.Hour)
	release()
	require.NoError(t, <-sent[0])
	empty(t, newReceiver(t, s, "orders", "new"))
	take(t, r, "order-1001")
}

// TestLocked has another connection hold the database's lock.
func TestLocked(t *testing.T) {
	db := openFile(t, tempFile(t), 8)
	s := open(t, db)
	release := hold(t, db)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	require.ErrorIs(t, sendOne(ctx, s), context.DeadlineExceeded)
	assert.Less(t, time.Since(began), 4*time.Second, "it waited for SQLite's own time")
	sent := start(t, s, func() error { return sendOne(t.Context(), s) })
	release()
	require.NoError(t, <-sent[0])
	holds(t, s, "order-1001")

	for range 8 {
		var timeout int
		require.NoError(t, db.QueryRow(`PRAGMA busy_timeout`).Scan(&timeout))
		assert.Equal(t, 5000, timeout, "the engine's setting")
	}
}

// TestLeftOpen has the engine leave a transaction open on the only connection, which
// nothing of the streamer's may be part of.
func TestLeftOpen(t *testing.T) {
	s := open(t, tempDB(t))
	_, err := s.db.Exec("BEGIN")
	require.NoError(t, err)
	require.ErrorContains(t, sendOne(t.Context(), s), "within a transaction")
	_, err = s.db.Exec("ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, sendOne(t.Context(), s))
	holds(t, s, "order-1001")
}

// TestLeaderGivesUp ends the context of the call that waits for the connection,
// for others too: one of them waits on.
func TestLeaderGivesUp(t *testing.T) {
	s := open(t, tempDB(t))
	release := hold(t, s.db)
	ctx, cancel := context.WithCancel(t.Context())
	errs := start(t, s, func() error { return sendOne(ctx, s) }, func() error { return sendOne(t.Context(), s) })
	cancel()
	require.ErrorIs(t, <-errs[0], context.Canceled)
	release()
	require.NoError(t, <-errs[1])
	holds(t, s, "order-1001")
}

// TestCloseWakes closes the streamer while calls wait for the database.
func TestCloseWakes(t *testing.T) {
	s := open(t, tempDB(t))
	release := hold(t, s.db)
	send := func() error { return sendOne(t.Context(), s) }
	errs := start(t, s, send, send, send, send, func() error {
		_, err := s.NewReceiver(t.Context(), "orders", "name")
		return err
	})
	require.NoError(t, s.Close())
	for _, err := range errs {
		require.ErrorIs(t, <-err, memstreamer.ErrClosed)
	}
	release()
	require.ErrorIs(t, s.Forget(t.Context(), "orders", "name"), memstreamer.ErrClosed)
	assert.Empty(t, kept(open(t, s.db)))
}

func TestNewRefuses(t *testing.T) {
	_, err := New(t.Context(), nil)
	require.ErrorContains(t, err, "db is nil")
	db := openFile(t, ":memory:", 8)
	_, err = New(t.Context(), db)
	require.ErrorContains(t, err, "SetMaxOpenConns(1)")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = New(ctx, db)
	require.ErrorIs(t, err, context.Canceled)

	file := tempFile(t)
	readOnly, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	require.NoError(t, err)
	defer readOnly.Close()
	_, err = New(t.Context(), readOnly)
	require.ErrorContains(t, err, "unable to open")
	db = openFile(t, file, 1)
	require.NoError(t, db.Ping())
	_, err = New(t.Context(), readOnly)
	require.ErrorContains(t, err, "readonly")
	for want, opt := range map[string]Option{
		"option 1 of 1 is nil":    nil,
		"the clock is nil":        WithClock(nil),
		"the logger is nil":       WithLogger(nil),
		"-1s is not positive":     WithAckTimeout(-time.Second),
		"reserved":                WithPrefix("sqlite"),
		`"" is not a prefix`:      WithPrefix(""),
		`"a b" is not a prefix`:   WithPrefix("a b"),
		`"1a" is not a prefix`:    WithPrefix("1a"),
		`"a;\n" is not a prefix`:  WithPrefix("a;\n"),
		`"a\nb" is not a prefix`:  WithPrefix("a\nb"),
		`"kürze" is not a prefix`: WithPrefix("kürze"),
	} {
		_, err := New(t.Context(), db, opt)
		assert.ErrorContains(t, err, want)
	}

	s := open(t, db)
	sendAs(t, s, "orders", "a")
	require.NoError(t, s.Close())
	for _, table := range []struct{ change, want string }{
		{`UPDATE memstreamer_events SET headers = '{"a":1}'`, "event 1: the headers are not a JSON object of strings"},
		{`UPDATE memstreamer_events SET headers = NULL; UPDATE memstreamer_schema SET version = 2`, "are of version 2, and this release knows version 1"},
	} {
		_, err = db.Exec(table.change)
		require.NoError(t, err)
		_, err = New(t.Context(), db)
		require.ErrorContains(t, err, table.want)
	}
	_, err = db.Exec(`UPDATE memstreamer_schema SET version = 1`)
	require.NoError(t, err)
	open(t, db)

	text := tempFile(t)
	require.NoError(t, os.WriteFile(text, []byte("this is no database, and longer than a header of one would be: 100 bytes, and a few to be on the safe side"), 0o600))
	bad, err := sql.Open("sqlite", text)
	require.NoError(t, err)
	defer bad.Close()
	_, err = New(t.Context(), bad)
	require.ErrorContains(t, err, "not a database")
}

func TestClockOutOfRange(t *testing.T) {
	s := open(t, tempDB(t), WithClock(clockFunc(func() time.Time { return time.Time{} })))
	require.ErrorContains(t, sendOne(t.Context(), s), "between the years 1678 and 2262")
}
