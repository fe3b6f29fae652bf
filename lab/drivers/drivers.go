// Package drivers tests package sqlite on drivers other than the one of its own
// tests, and by histories. Two drivers register the same name, so each has a package,
// which imports this one.
package drivers

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/sqlite"
	"github.com/memstreamer/memstreamer/streamertest"
)

// contract has time for 2,000 hand-offs, which are 4,000 commits, on a busy machine.
var contract = []streamertest.Option{streamertest.InMemory(), streamertest.WithDeadline(time.Minute)}

// Driver is a driver to be tested.
type Driver struct {
	Name string                   // as it registers itself
	DSN  func(file string) string // of a database with a write-ahead log and a busy_timeout of 5000
}

// Main is the TestMain of a driver's package, whose binary is also the child of
// [Faults].
func Main(m *testing.M, d Driver) {
	if file := os.Getenv(childFile); file != "" {
		child(d, file)
	}
	goleak.VerifyTestMain(m)
}

// open opens a database with a pool of that many connections.
func (d Driver) open(dsn string, pool int) (db *sql.DB, err error) {
	var opened sync.WaitGroup
	opened.Go(func() {
		// The suite knows its streamer's goroutines by a label, which the
		// database's own must not have.
		pprof.SetGoroutineLabels(context.Background())
		db, err = sql.Open(d.Name, dsn)
	})
	opened.Wait()
	if err == nil {
		db.SetMaxOpenConns(pool)
	}
	return db, err
}

// Run has the driver do what the contract says, keep what is hard to store, and give
// way to another writer.
func Run(t *testing.T, d Driver) {
	openDB := func(t *testing.T, dsn string, pool int) *sql.DB {
		t.Helper()
		db, err := d.open(dsn, pool)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, db.Close()) })
		return db
	}
	open := func(t *testing.T, file string, pool int) *sqlite.Streamer {
		t.Helper()
		s, err := sqlite.New(t.Context(), openDB(t, d.DSN(file), pool))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, s.Close()) })
		return s
	}
	for _, pool := range []int{1, 8} {
		t.Run(fmt.Sprint("contract, pool of ", pool), func(t *testing.T) {
			streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
				return open(t, filepath.Join(t.TempDir(), "test.db"), pool)
			}, contract...)
		})
	}
	t.Run("contract, in memory", func(t *testing.T) {
		streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
			return open(t, ":memory:", 1)
		}, contract...)
	})
	t.Run("restart", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "test.db")
		restart(t, func() *sqlite.Streamer { return open(t, file, 1) })
	})
	t.Run("another writer", func(t *testing.T) {
		// SQLite's own timeout would have it wait for 5 minutes.
		name := strings.Replace(d.DSN("FILE"), "5000", "300000", 1)
		require.Contains(t, name, "300000")
		name = strings.Replace(name, "FILE", filepath.Join(t.TempDir(), "test.db"), 1)
		waits(t, openDB(t, name, 1), openDB(t, name, 1))
	})
}

// waits has the context of a Send end while another connection writes.
func waits(t *testing.T, db, other *sql.DB) {
	s, err := sqlite.New(t.Context(), db)
	require.NoError(t, err)
	snd, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	tx, err := other.Begin()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	sent := make(chan error, 1)
	go func() { sent <- snd.Send(ctx, "a", 1, nil) }()
	select {
	case err := <-sent:
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	case <-time.After(time.Minute):
		t.Error("Send waits for the other connection")
	}
	require.NoError(t, tx.Rollback())
	require.NoError(t, snd.Send(t.Context(), "b", 1, nil))
	var events int
	require.NoError(t, other.QueryRow(`SELECT count(*) FROM memstreamer_events`).Scan(&events))
	assert.Equal(t, 1, events)
	var timeout int
	require.NoError(t, db.QueryRow(`PRAGMA busy_timeout`).Scan(&timeout))
	assert.Equal(t, 300_000, timeout, "the engine's setting")
	require.NoError(t, s.Close())
}

// restart sends what is hard to store, and receives it from the next streamer.
func restart(t *testing.T, open func() *sqlite.Streamer) {
	const hard = "a zero \x00, and no UTF-8 \xff"
	events := []memstreamer.Event{
		{ID: 1, ForeignID: hard, Type: -1, Headers: map[memstreamer.Header]string{"bytes": "\xff\x00", "quote": `"`, "run_id": "1"}},
		{ID: 2, ForeignID: "plain", Type: 1, Headers: map[memstreamer.Header]string{"run_id": "1", "zero": "\x00"}},
		{ID: 3},
	}
	s := open()
	receive := func(name string, want ...memstreamer.Event) {
		r, err := s.NewReceiver(t.Context(), hard, name)
		require.NoError(t, err)
		for _, w := range want {
			e, ack, err := r.Recv(t.Context())
			require.NoError(t, err)
			require.NoError(t, ack())
			w.CreatedAt = e.CreatedAt
			assert.Equal(t, w, *e)
		}
	}
	snd, err := s.NewSender(t.Context(), hard)
	require.NoError(t, err)
	for _, e := range events {
		require.NoError(t, snd.Send(t.Context(), e.ForeignID, e.Type, e.Headers))
	}
	receive(hard, events[0])
	receive("new")
	require.NoError(t, s.Close())

	s = open()
	receive(hard, events[1:]...)
	receive("new", events...)
}
