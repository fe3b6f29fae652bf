package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
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

// TestLocked has another connection hold the database's lock, of this pool or another,
// for longer than any call waits. SQLite's own timeout would have them wait with it.
func TestLocked(t *testing.T) {
	const minute = 60_000
	for _, pool := range []int{1, 8} {
		t.Run(fmt.Sprint("pool of ", pool), func(t *testing.T) {
			file := tempFile(t)
			db, err := openDB(strings.Replace(dsn(file), "busy_timeout(5000)", fmt.Sprintf("busy_timeout(%d)", 10*minute), 1), pool)
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, db.Close()) })
			s := open(t, db, WithAckTimeout(20*time.Millisecond))
			sendAs(t, s, "orders", "a")
			r := newReceiver(t, s, "orders", "name")
			_, ack := recv(t, r)
			other := openFile(t, file, 1)
			if pool > 1 {
				other = db
			}
			release := hold(t, other)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			within(t, func() {
				assert.ErrorIs(t, sendOne(ctx, s), context.DeadlineExceeded)
				assert.ErrorIs(t, ack(), context.DeadlineExceeded)
			})
			sent := start(t, s, func() error { return sendOne(t.Context(), s) })
			release()
			require.NoError(t, <-sent[0])
			take(t, r, "a", "order-1001")
			for range 8 {
				var timeout int
				require.NoError(t, db.QueryRow(`PRAGMA busy_timeout`).Scan(&timeout))
				assert.Equal(t, 10*minute, timeout, "the engine's setting")
			}

			release = hold(t, other)
			sent = start(t, s, func() error { return sendOne(t.Context(), s) })
			within(t, func() { assert.NoError(t, s.Close()) })
			require.ErrorIs(t, <-sent[0], memstreamer.ErrClosed)
			release()
		})
	}
}

// within fails if calls take longer than anything here does.
func within(t *testing.T, calls func()) {
	t.Helper()
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		calls()
	}()
	select {
	case <-returned:
	case <-time.After(time.Minute):
		t.Fatal("they wait for another connection")
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

// expiring is a context whose deadline passes without its Done channel being closed
// yet.
type expiring struct {
	context.Context
	expired atomic.Bool
}

func (c *expiring) Err() error {
	if c.expired.Load() {
		return context.DeadlineExceeded
	}
	return nil
}

// TestCloseAndDeadline closes the streamer while a Send waits whose deadline passes at
// the same time: it fails with its context's error, not with that of the one by which
// Close ends it.
func TestCloseAndDeadline(t *testing.T) {
	s := open(t, tempDB(t))
	s.turn <- struct{}{} // which has it wait
	defer func() { <-s.turn }()
	ctx := &expiring{Context: context.Background()}
	sent := start(t, s, func() error { return sendOne(ctx, s) })
	ctx.expired.Store(true)
	s.close() // as Close does first
	require.ErrorIs(t, <-sent[0], context.DeadlineExceeded)
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
		"-1ns is negative":        WithRetention(-1),
		"-2ns is negative":        WithAckDelay(-2),
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
	require.ErrorContains(t, s.Forget(t.Context(), "", "name"), "topic is empty")
	require.ErrorContains(t, s.Forget(t.Context(), "orders", ""), "name is empty")
	require.NoError(t, s.Close())
	_, err = New(t.Context(), readOnly)
	require.ErrorContains(t, err, "readonly", "its tables are there")
	for _, table := range []struct{ change, want string }{
		{`UPDATE memstreamer_events SET headers = '{"a":1}'`, "event 1: the headers are not a JSON object of strings"},
		{`UPDATE memstreamer_events SET headers = NULL; UPDATE memstreamer_schema SET version = 4`, "are of version 4, and this release knows version 3"},
	} {
		_, err = db.Exec(table.change)
		require.NoError(t, err)
		_, err = New(t.Context(), db)
		require.ErrorContains(t, err, table.want)
	}
	_, err = db.Exec(`UPDATE memstreamer_schema SET version = 3`)
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

// TestZero calls the methods of a Streamer that New has not made.
func TestZero(t *testing.T) {
	for _, s := range []*Streamer{nil, {}} {
		for _, call := range []func(){
			func() { _, _ = s.NewSender(t.Context(), "orders") },
			func() { _, _ = s.NewReceiver(t.Context(), "orders", "name") },
			func() { _ = s.Forget(t.Context(), "orders", "name") },
			func() { s.Stats() },
			func() { _ = s.InTx(t.Context(), nil) },
			func() { _ = s.Close() },
		} {
			require.PanicsWithValue(t, "memstreamer/sqlite: a nil or zero Streamer is not usable: make one with New", call)
		}
	}
}

// TestErrClosed reads which of them was closed.
func TestErrClosed(t *testing.T) {
	s := open(t, tempDB(t))
	snd, r := newSender(t, s, "orders"), newReceiver(t, s, "orders", "name")
	require.NoError(t, snd.Close())
	require.NoError(t, r.Close())
	is := func(text string, err error) {
		t.Helper()
		require.ErrorIs(t, err, memstreamer.ErrClosed)
		require.EqualError(t, err, "memstreamer: closed: "+text)
	}
	is(`the sender of topic "orders"`, snd.Send(t.Context(), "a", 1, nil))
	_, _, err := r.Recv(t.Context())
	is(`the receiver of topic "orders" and name "name"`, err)
	snd = newSender(t, s, "orders")
	require.NoError(t, s.Close())
	is("the streamer", snd.Send(t.Context(), "a", 1, nil))
	_, _, err = r.Recv(t.Context())
	is("the streamer", err)
	_, err = s.NewSender(t.Context(), "orders")
	is("the streamer", err)
	for _, opts := range [][]memstreamer.ReceiverOption{nil, {memstreamer.Ephemeral()}} {
		_, err = s.NewReceiver(t.Context(), "orders", "name", opts...)
		is("the streamer", err)
	}
	is("the streamer", s.Forget(t.Context(), "orders", "name"))
}

// TestClosedMeanwhile has calls come to the turn that Close has come before, when the
// next streamer has the database.
func TestClosedMeanwhile(t *testing.T) {
	s := open(t, tempDB(t))
	reopen(t, s)
	for _, kind := range []kind{opSend, opReceiver, opForget} {
		require.EqualError(t, s.commit(t.Context(), &op{kind: kind, topic: "orders", name: "name"}), "memstreamer: closed: the streamer")
	}
	require.Zero(t, s.waiting())
}

func TestClockOutOfRange(t *testing.T) {
	s := open(t, tempDB(t), WithClock(clockFunc(func() time.Time { return time.Time{} })))
	require.ErrorContains(t, sendOne(t.Context(), s), "between the years 1678 and 2262")
}
