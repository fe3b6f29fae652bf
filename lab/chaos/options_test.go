package chaos

import (
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// receivedBy returns the events of topic, by a receiver of its own.
func receivedBy(t testing.TB, s memstreamer.EventStreamer, topic string, foreignIDs ...string) []*memstreamer.Event {
	t.Helper()
	r := newReceiver(t, s, topic, "what is there", memstreamer.Ephemeral())
	var events []*memstreamer.Event
	for range foreignIDs {
		got := await(t, start(t.Context(), r), soonest)
		require.NoError(t, got.err)
		require.NoError(t, got.ack())
		events = append(events, got.event)
	}
	require.NoError(t, r.Close())
	return events
}

// at returns JetStream whose server shows that time.
func at(js natsjs.JetStream, now time.Time) natsjs.JetStream {
	return fake{JetStream: js, streamInfo: func(info *natsjs.StreamInfo) { info.TimeStamp = now }}
}

// A cursor starts at the oldest event that is not older than the duration, by the
// server's clock. One that exists resumes, and with StreamFromLatest that wins.
func TestStreamFromLast(t *testing.T) {
	const d = time.Hour
	s, js := startStreamer(t)
	send(t, s, "topic", "old", "new", "newest")
	events := receivedBy(t, s, "topic", "old", "new", "newest")
	require.Greater(t, events[1].CreatedAt, events[0].CreatedAt)

	// To the nanosecond: "new" is as old as d.
	late := newStreamer(t, at(js, events[1].CreatedAt.Add(d)))
	r := newReceiver(t, late, "topic", "name", memstreamer.StreamFromLast(d))
	receive(t, r, "new")
	require.NoError(t, r.Close())
	receive(t, newReceiver(t, late, "topic", "name", memstreamer.StreamFromLast(2*d)), "newest")
	receive(t, newReceiver(t, late, "topic", "ephemeral", memstreamer.StreamFromLast(d), memstreamer.Ephemeral()), "new")
	receive(t, newReceiver(t, late, "topic", "all", memstreamer.StreamFromLast(1<<63-1)), "old")

	latest := newReceiver(t, late, "topic", "latest", memstreamer.StreamFromLast(d), memstreamer.StreamFromLatest())
	none := newReceiver(t, late, "topic", "none", memstreamer.StreamFromLast(1))
	send(t, s, "topic", "next")
	receive(t, latest, "next")
	receive(t, none, "next")
}

func TestCreatedAtIsLocal(t *testing.T) {
	s, _ := startStreamer(t)
	send(t, s, "topic", "1")
	event := receivedBy(t, s, "topic", "1")[0]
	assert.Equal(t, time.Unix(0, event.CreatedAt.UnixNano()), event.CreatedAt)
}

// An ErrClosed says what was closed.
func TestErrClosed(t *testing.T) {
	s, _ := startStreamer(t)
	snd, r := newSender(t, s, "topic"), newReceiver(t, s, "topic", "name")
	open := map[string]func() error{
		"the sender of topic \"topic\"": func() error { return snd.Send(t.Context(), "1", 1, nil) },
		"the receiver of topic \"topic\" and name \"name\"": func() error {
			_, _, err := r.Recv(t.Context())
			return err
		},
	}
	require.NoError(t, snd.Close())
	require.NoError(t, r.Close())
	for what, call := range open {
		require.ErrorIs(t, call(), memstreamer.ErrClosed)
		require.EqualError(t, call(), "memstreamer: closed: "+what)
	}
	require.NoError(t, s.Close())
	open["NewSender"] = func() error {
		_, err := s.NewSender(t.Context(), "topic")
		return err
	}
	open["NewReceiver"] = func() error {
		_, err := s.NewReceiver(t.Context(), "topic", "name")
		return err
	}
	open["Forget"] = func() error { return s.Forget(t.Context(), "topic", "name") }
	for _, call := range open {
		require.ErrorIs(t, call(), memstreamer.ErrClosed)
		require.EqualError(t, call(), "memstreamer: closed: the streamer")
	}
}

// A streamer that New has not made says so.
func TestZeroStreamer(t *testing.T) {
	for _, s := range []*jetstream.Streamer{nil, {}} {
		for what, call := range map[string]func(){
			"NewSender":   func() { _, _ = s.NewSender(t.Context(), "topic") },
			"NewReceiver": func() { _, _ = s.NewReceiver(t.Context(), "topic", "name") },
			"Forget":      func() { _ = s.Forget(t.Context(), "topic", "name") },
			"Close":       func() { _ = s.Close() },
		} {
			assert.PanicsWithValue(t, "memstreamer/jetstream: a nil or zero Streamer is not usable: make one with New", call, what)
		}
	}
}
