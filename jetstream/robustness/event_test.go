package robustness_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/memstreamer/memstreamer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Any bytes travel in an event.
func TestAnyBytes(t *testing.T) {
	s := newStreamer(t, startEmbedded(t))
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
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.NoError(t, snd.Send(t.Context(), string(every), 7, headers))
	r := newReceiver(t, s, "topic", "name")
	e, ack, err := r.Recv(t.Context())
	require.NoError(t, err)
	assert.Equal(t, string(every), e.ForeignID)
	assert.Equal(t, headers, e.Headers)
	require.NoError(t, ack())
}

// TestManyParked sends one large event to 80 names that wait for it, all on the
// one connection of an embedded server.
func TestManyParked(t *testing.T) {
	const names = 80
	js := startEmbedded(t)
	s := newStreamer(t, js)
	var calls []<-chan received
	for n := range names {
		calls = append(calls, start(t.Context(), newReceiver(t, s, "topic", fmt.Sprint("name ", n))))
	}
	parked(t, js, names)
	large := strings.Repeat("x", 900_000)
	send(t, s, "topic", large)
	for _, call := range calls {
		got := await(t, call, patience)
		require.NoError(t, got.err)
		require.Equal(t, large, got.event.ForeignID)
		require.NoError(t, got.ack())
	}
}
