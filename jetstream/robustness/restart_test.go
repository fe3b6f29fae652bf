package robustness_test

import (
	"fmt"
	"testing"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// run starts an embedded server in dir and a streamer on it, and returns what
// stops both.
func run(t *testing.T, dir string) (memstreamer.EventStreamer, func()) {
	t.Helper()
	conn, stop, err := embedded.Start(dir)
	require.NoError(t, err)
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	s, err := jetstream.New(t.Context(), js)
	require.NoError(t, err)
	return s, func() {
		t.Helper()
		require.NoError(t, s.Close())
		require.NoError(t, stop())
	}
}

// TestRestart stops an embedded server between Send and Recv, between Recv and
// Ack, and after the Ack, and starts it again on the same directory.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s, stop := run(t, dir)
	early := newReceiver(t, s, "topic", "early")
	newReceiver(t, s, "topic", "idle")
	send(t, s, "topic", "1", "2", "3")
	newReceiver(t, s, "topic", "latest", memstreamer.StreamFromLatest())
	require.NoError(t, recv(t, early, "1")())
	stop() // between Send and Recv of 2, for early, and of 1, for idle

	s, stop = run(t, dir)
	early = newReceiver(t, s, "topic", "early")
	recv(t, early, "2")
	stop() // between Recv and Ack of 2

	s, stop = run(t, dir)
	early = newReceiver(t, s, "topic", "early")
	require.NoError(t, recv(t, early, "2")())
	stop() // after the Ack of 2

	s, stop = run(t, dir)
	defer stop()
	send(t, s, "topic", "4")
	for name, want := range map[string][]string{
		"early":  {"3", "4"},
		"idle":   {"1", "2", "3", "4"},
		"latest": {"4"},
	} {
		// They have cursors, which have been kept.
		r := newReceiver(t, s, "topic", name, memstreamer.StreamFromLatest())
		for _, foreignID := range want {
			require.NoError(t, recv(t, r, foreignID)())
		}
	}
}

// TestRestartOften acks one event for each start of the server.
func TestRestartOften(t *testing.T) {
	dir := t.TempDir()
	for n := range 5 {
		s, stop := run(t, dir)
		r := newReceiver(t, s, "topic", "name")
		send(t, s, "topic", fmt.Sprint("first of ", n), fmt.Sprint("second of ", n))
		if n > 0 {
			require.NoError(t, recv(t, r, fmt.Sprint("second of ", n-1))())
		}
		require.NoError(t, recv(t, r, fmt.Sprint("first of ", n))())
		stop()
	}
}

// TestStopUnderUse stops the server without the streamer, while a Recv waits and
// another has its event.
func TestStopUnderUse(t *testing.T) {
	dir := t.TempDir()
	conn, stop, err := embedded.Start(dir)
	require.NoError(t, err)
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	s := newStreamer(t, js)
	send(t, s, "topic", "1")
	ack := recv(t, newReceiver(t, s, "topic", "name"), "1")
	call := start(t.Context(), newReceiver(t, s, "empty", "name"))
	parked(t, js, 1)
	require.NoError(t, stop())
	require.ErrorIs(t, await(t, call, soonest).err, nats.ErrConnectionClosed)
	require.ErrorIs(t, ack(), nats.ErrConnectionClosed)

	again, stopAgain := run(t, dir)
	defer stopAgain()
	assert.NoError(t, recv(t, newReceiver(t, again, "topic", "name"), "1")())
}
