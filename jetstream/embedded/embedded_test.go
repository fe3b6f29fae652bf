package embedded_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func publish(t *testing.T, conn *nats.Conn) uint64 {
	t.Helper()
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), natsjs.StreamConfig{Name: "STREAM", Subjects: []string{"subject"}})
	require.NoError(t, err)
	published, err := js.Publish(t.Context(), "subject", nil)
	require.NoError(t, err)
	return published.Sequence
}

func TestStart(t *testing.T) {
	for name, opts := range map[string][]embedded.Option{"default": nil, "sync always": {embedded.WithSyncAlways()}} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made", "by", "Start")
			for n := range uint64(3) {
				conn, stop, err := embedded.Start(dir, opts...)
				require.NoError(t, err)
				assert.Equal(t, n+1, publish(t, conn), "what was there before is not")
				require.NoError(t, stop())
				require.NoError(t, stop(), "a second time")
				assert.True(t, conn.IsClosed())
			}
		})
	}
}

func TestStartTwice(t *testing.T) {
	dir := t.TempDir()
	_, stop, err := embedded.Start(dir)
	require.NoError(t, err)
	_, _, err = embedded.Start(dir)
	require.ErrorContains(t, err, "another server uses this directory")
	_, stopOther, err := embedded.Start(t.TempDir())
	require.NoError(t, err, "two directories are two servers")
	require.NoError(t, stopOther())
	require.NoError(t, stop())
	_, stop, err = embedded.Start(dir)
	require.NoError(t, err)
	require.NoError(t, stop())
}

func TestStartRefuses(t *testing.T) {
	_, _, err := embedded.Start("")
	assert.ErrorContains(t, err, "dir is empty")
	_, _, err = embedded.Start(t.TempDir(), nil)
	assert.ErrorContains(t, err, "option 1 of 1 is nil")
	_, _, err = embedded.Start(t.TempDir(), embedded.WithLogger(nil))
	assert.ErrorContains(t, err, "the logger is nil")

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, _, err = embedded.Start(file)
	assert.ErrorContains(t, err, file)

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600))
	_, _, err = embedded.Start(dir)
	require.ErrorContains(t, err, "the server did not start: Can't start JetStream")
	require.NoError(t, os.Remove(filepath.Join(dir, "jetstream")))
	_, stop, err := embedded.Start(dir)
	require.NoError(t, err, "the lock of the one that failed is gone")
	require.NoError(t, stop())
}

func TestLogger(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer file.Close()
	_, stop, err := embedded.Start(t.TempDir(), embedded.WithLogger(slog.New(slog.NewTextHandler(file, nil))))
	require.NoError(t, err)
	require.NoError(t, stop())
	log, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	assert.Contains(t, string(log), "Starting JetStream")
	assert.NotContains(t, string(log), "Listening for client connections")
}
