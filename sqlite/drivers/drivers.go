// Package drivers tests the sqlite module on drivers other than the one of its own
// tests. Two of them register the same name, so each has a package.
package drivers

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/sqlite"
	"github.com/memstreamer/memstreamer/streamertest"
)

// contract has time for 2,000 hand-offs, which are 4,000 commits, on a busy machine.
var contract = []streamertest.Option{streamertest.InMemory(), streamertest.WithDeadline(time.Minute)}

// Run tests a driver: dsn returns the name of a database for its file.
func Run(t *testing.T, driver string, dsn func(file string) string) {
	open := func(t *testing.T, file string, pool int) *sqlite.Streamer {
		t.Helper()
		var db *sql.DB
		var err error
		var opened sync.WaitGroup
		opened.Go(func() {
			// The suite knows its streamer's goroutines by a label, which the
			// database's own must not have.
			pprof.SetGoroutineLabels(context.Background())
			db, err = sql.Open(driver, dsn(file))
		})
		opened.Wait()
		require.NoError(t, err)
		db.SetMaxOpenConns(pool)
		s, err := sqlite.New(t.Context(), db)
		require.NoError(t, err)
		t.Cleanup(func() {
			assert.NoError(t, s.Close())
			assert.NoError(t, db.Close())
		})
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
