package chaos

import (
	"context"
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
	s, js := startStreamer(t)
	snd, r := newSender(t, s, "topic"), newReceiver(t, s, "topic", "name")
	all := calls(js, s, snd, r)
	require.NoError(t, snd.Close())
	require.NoError(t, r.Close())
	for what, says := range map[string]string{"Send": `the sender of topic "topic"`, "Recv": `the receiver of topic "topic" and name "name"`} {
		err := all[what](t.Context())
		require.ErrorIs(t, err, memstreamer.ErrClosed)
		require.EqualError(t, err, "memstreamer: closed: "+says)
	}
	require.NoError(t, s.Close())
	delete(all, "New")
	all["NewSender"] = func(ctx context.Context) error {
		_, err := s.NewSender(ctx, "topic")
		return err
	}
	for _, call := range all {
		err := call(t.Context())
		require.ErrorIs(t, err, memstreamer.ErrClosed)
		require.EqualError(t, err, "memstreamer: closed: the streamer")
	}
}

// A streamer that New has not made says so.
func TestZeroStreamer(t *testing.T) {
	for _, s := range []*jetstream.Streamer{nil, {}} {
		all := calls(nil, s, nil, nil)
		all["Close"] = func(context.Context) error { return s.Close() }
		all["NewSender"] = func(ctx context.Context) error {
			_, err := s.NewSender(ctx, "topic")
			return err
		}
		for _, what := range []string{"NewSender", "NewReceiver", "Forget", "Stats", "Close"} {
			assert.PanicsWithValue(t, "memstreamer/jetstream: a nil or zero Streamer is not usable: make one with New",
				func() { _ = all[what](t.Context()) }, what)
		}
	}
}
