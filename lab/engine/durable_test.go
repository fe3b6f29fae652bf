package engine

import (
	"database/sql"
	"path/filepath"
	"testing"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/memstreamer/memstreamer/sqlite"
)

// openDB opens a file with a pool of that many connections.
func openDB(t *testing.T, pool int) *sql.DB {
	file := filepath.Join(t.TempDir(), "events.db")
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	require.NoError(t, err)
	db.SetMaxOpenConns(pool)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

// openSQLite opens a streamer on a file.
func openSQLite(t *testing.T) memstreamer.EventStreamer {
	s, err := sqlite.New(t.Context(), openDB(t, 1))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// openJetStream opens a streamer on a server within the process.
func openJetStream(t *testing.T) memstreamer.EventStreamer {
	conn, stop, err := embedded.Start(t.TempDir())
	require.NoError(t, err)
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	s, err := jetstream.New(t.Context(), js)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, s.Close())
		assert.NoError(t, stop())
	})
	return s
}
