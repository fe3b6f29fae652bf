package watermill

import (
	"database/sql"
	"path/filepath"
	"testing"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/memstreamer/memstreamer/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opener opens a streamer on the same files each time, and returns what closes it.
type opener func(t *testing.T) (s memstreamer.EventStreamer, stop func())

// eachBackend runs test for the streamers that outlive a process.
func eachBackend(t *testing.T, test func(t *testing.T, open opener)) {
	for name, open := range map[string]func(t *testing.T, dir string) (memstreamer.EventStreamer, func()){
		"sqlite":    openSQLite,
		"jetstream": openJetStream,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			test(t, func(t *testing.T) (memstreamer.EventStreamer, func()) { return open(t, dir) })
		})
	}
}

func openSQLite(t *testing.T, dir string) (memstreamer.EventStreamer, func()) {
	db, err := sql.Open("sqlite", filepath.Join(dir, "events.db"))
	require.NoError(t, err)
	s, err := sqlite.New(t.Context(), db)
	require.NoError(t, err)
	return s, func() {
		require.NoError(t, s.Close())
		require.NoError(t, db.Close())
	}
}

func openJetStream(t *testing.T, dir string) (memstreamer.EventStreamer, func()) {
	js, stop := startServer(t, dir)
	s, err := jetstream.New(t.Context(), js)
	require.NoError(t, err)
	return s, func() {
		require.NoError(t, s.Close())
		stop()
	}
}

func startServer(t *testing.T, dir string) (js natsjs.JetStream, stop func()) {
	conn, stopServer, err := embedded.Start(dir)
	require.NoError(t, err)
	js, err = natsjs.New(conn)
	require.NoError(t, err)
	return js, func() { require.NoError(t, stopServer()) }
}
