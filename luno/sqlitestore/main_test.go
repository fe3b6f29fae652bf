package sqlitestore_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/luno/workflow"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer/luno/sqlitestore"
	"github.com/memstreamer/memstreamer/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openDB opens a database with a pool of that many connections.
func openDB(t testing.TB, file string, pool int) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	require.NoError(t, err)
	db.SetMaxOpenConns(pool)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func tempDB(t testing.TB, pool int) *sql.DB {
	return openDB(t, filepath.Join(t.TempDir(), "test.db"), pool)
}

// withOutbox returns a store whose events are sent by the engine.
func withOutbox(t testing.TB, db *sql.DB) *sqlitestore.Store {
	s, err := sqlitestore.New(t.Context(), db, nil)
	require.NoError(t, err)
	return s
}

// record is that of a version of a run.
func record(runID string, version uint) *workflow.Record {
	return &workflow.Record{
		WorkflowName: "orders", ForeignID: "order of " + runID, RunID: runID, RunState: workflow.RunStateRunning, Status: int(version) + 10,
		Object: fmt.Append(nil, version), CreatedAt: time.UnixMicro(1), UpdatedAt: time.UnixMicro(int64(version)),
		Meta: workflow.Meta{RunStateReason: "reason", StatusDescription: "description", Version: version, TraceOrigin: "origin"},
	}
}

// withStreamer returns a store that sends events itself, and its streamer.
func withStreamer(t testing.TB, db *sql.DB, opts ...sqlite.Option) (*sqlite.Streamer, *sqlitestore.Store) {
	streamer, err := sqlite.New(t.Context(), db, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, streamer.Close()) })
	s, err := sqlitestore.New(t.Context(), db, streamer)
	require.NoError(t, err)
	return streamer, s
}
