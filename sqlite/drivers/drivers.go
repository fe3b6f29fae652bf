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
	const topic = "a zero \x00, and no UTF-8 \xff"
	headers := map[memstreamer.Header]string{"bytes": "\xff\x00", "quote": `"`, "run_id": "1"}
	plain := map[memstreamer.Header]string{"run_id": "1", "zero": "\x00"}
	s := open()
	snd, err := s.NewSender(t.Context(), topic)
	require.NoError(t, err)
	require.NoError(t, snd.Send(t.Context(), topic, -1, headers))
	require.NoError(t, snd.Send(t.Context(), "plain", 1, plain))
	require.NoError(t, snd.Send(t.Context(), "", 0, nil))
	r, err := s.NewReceiver(t.Context(), topic, topic)
	require.NoError(t, err)
	_, ack, err := r.Recv(t.Context())
	require.NoError(t, err)
	require.NoError(t, ack())
	_, err = s.NewReceiver(t.Context(), topic, "new")
	require.NoError(t, err)
	require.NoError(t, s.Close())

	s = open()
	receive := func(name string) (events []memstreamer.Event) {
		r, err := s.NewReceiver(t.Context(), topic, name)
		require.NoError(t, err)
		for {
			e, ack, err := r.Recv(t.Context())
			require.NoError(t, err)
			require.NoError(t, ack())
			events = append(events, memstreamer.Event{ID: e.ID, ForeignID: e.ForeignID, Type: e.Type, Headers: e.Headers})
			if e.ID == 3 {
				return events
			}
		}
	}
	want := []memstreamer.Event{
		{ID: 1, ForeignID: topic, Type: -1, Headers: headers},
		{ID: 2, ForeignID: "plain", Type: 1, Headers: plain},
		{ID: 3},
	}
	assert.Equal(t, want, receive("new"))
	assert.Equal(t, want[1:], receive(topic))
}
