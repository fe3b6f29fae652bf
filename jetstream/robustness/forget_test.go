package robustness_test

import (
	"context"
	"testing"

	"github.com/memstreamer/memstreamer"
	"github.com/stretchr/testify/require"
)

func TestForget(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	require.NoError(t, s.Forget(t.Context(), "topic", "name"), "there is no such name")
	send(t, s, "topic", "1", "2")
	r := newReceiver(t, s, "topic", "name")
	require.NoError(t, recv(t, r, "1")())
	late := recv(t, r, "2")
	require.ErrorContains(t, s.Forget(t.Context(), "topic", "name"), `"name" has an open receiver on "topic": close it first`)
	require.NoError(t, r.Close())
	require.NoError(t, s.Forget(t.Context(), "topic", "name"))
	require.Empty(t, consumers(t, js))
	require.ErrorContains(t, late(), "the cursor is gone from the server")

	r = newReceiver(t, s, "topic", "name")
	recv(t, r, "1")
	require.ErrorContains(t, late(), "the cursor is gone from the server")
	require.NoError(t, recv(t, r, "1")())
	require.NoError(t, recv(t, r, "2")())

	// Another process has it open.
	other := newStreamer(t, js)
	require.NoError(t, other.Forget(t.Context(), "topic", "name"))
	_, _, err := r.Recv(t.Context())
	require.ErrorContains(t, err, "the cursor is gone from the server")

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, s.Forget(cancelled, "topic", "name"))
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Forget(t.Context(), "topic", "name"), memstreamer.ErrClosed)
}

// Forget may come while a pull request of a Recv that was given up is with the
// server.
func TestForgetPulling(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	r := newReceiver(t, s, "topic", "name")
	ctx, cancel := context.WithCancel(t.Context())
	call := start(ctx, r)
	parked(t, js, 1)
	cancel()
	await(t, call, soon)
	require.NoError(t, r.Close())
	require.NoError(t, s.Forget(t.Context(), "topic", "name"))
	r = newReceiver(t, s, "topic", "name")
	send(t, s, "topic", "1")
	require.NoError(t, recv(t, r, "1")())
}
