package sqlite_test

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

	_ "modernc.org/sqlite"
)

// openDB opens a database with a pool of that many connections.
func openDB(file string, pool int, pragmas ...string) (*sql.DB, error) {
	dsn := "file:" + file + "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	for _, p := range pragmas {
		dsn += "&_pragma=" + p
	}
	var db *sql.DB
	var err error
	var opened sync.WaitGroup
	opened.Go(func() {
		// The suite knows its streamer's goroutines by a label, which the
		// database's own must not have.
		pprof.SetGoroutineLabels(context.Background())
		if db, err = sql.Open("sqlite", dsn); err == nil {
			db.SetMaxOpenConns(pool)
		}
	})
	opened.Wait()
	return db, err
}

func openFile(t testing.TB, file string, pool int, pragmas ...string) *sql.DB {
	t.Helper()
	db, err := openDB(file, pool, pragmas...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func tempFile(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

// open opens a streamer that is closed before its database.
func open(t testing.TB, db *sql.DB, opts ...sqlite.Option) *sqlite.Streamer {
	t.Helper()
	s, err := sqlite.New(t.Context(), db, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// contract has time for 2,000 hand-offs, which are 4,000 commits, on a busy machine.
var contract = []streamertest.Option{streamertest.InMemory(), streamertest.WithDeadline(time.Minute)}

func TestContract(t *testing.T) {
	for _, pool := range []int{1, 8} {
		t.Run(fmt.Sprint("pool of ", pool), func(t *testing.T) {
			streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
				return open(t, openFile(t, tempFile(t), pool))
			}, contract...)
		})
	}
	t.Run("in memory", func(t *testing.T) {
		streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
			return open(t, openFile(t, ":memory:", 1))
		}, contract...)
	})
}
