package robustness_test

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Any bytes travel in an event.
func TestAnyBytes(t *testing.T) {
	s, _ := startStreamer(t)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	headers := map[memstreamer.Header]string{
		memstreamer.Header(every): string(every),
		"\xff":                    "",
		"text":                    "größe\n",
		"zeros":                   "\x00\x00",
	}
	require.NoError(t, newSender(t, s, "topic").Send(t.Context(), string(every), 7, headers))
	r := newReceiver(t, s, "topic", "name")
	e, ack, err := r.Recv(t.Context())
	require.NoError(t, err)
	assert.Equal(t, string(every), e.ForeignID)
	assert.Equal(t, headers, e.Headers)
	require.NoError(t, ack())
}

// TestDeliveriesWait has more than 64 MB wait for a streamer that is busy. nats.go
// would drop what comes after them, and say so by LastError.
func TestDeliveriesWait(t *testing.T) {
	t.Parallel()
	js := startEmbedded(t)
	requests := pullRequests(t, js, "topic@name")
	log, logged := io.Pipe()
	defer logged.Close()
	s := newStreamer(t, js, jetstream.WithLogger(slog.New(slog.NewTextHandler(logged, nil))))
	call := start(t.Context(), newReceiver(t, s, "topic", "name"))
	inbox := await(t, requests, soonest).Reply
	// The streamer logs this, and nobody reads its log.
	require.NoError(t, js.Conn().PublishRequest(inbox, "reply", nil))
	body := make([]byte, server.MAX_PAYLOAD_SIZE)
	for range 65 {
		require.NoError(t, js.Conn().Publish(inbox+"0", body))
	}
	send(t, s, "topic", "1")
	require.Eventually(t, func() bool { return consumer(t, js).NumAckPending == 1 }, soonest, time.Millisecond)
	require.NoError(t, js.Conn().Flush())
	require.NoError(t, js.Conn().LastError())
	go func() { _, _ = io.Copy(io.Discard, log) }()
	call.event(t, "1")
}
