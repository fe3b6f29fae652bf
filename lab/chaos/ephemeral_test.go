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

// An ephemeral receiver shares its cursor with no other, and the server forgets it
// when it is closed, as does the streamer.
func TestEphemeral(t *testing.T) {
	s, js := startStreamer(t, jetstream.WithExactAcks())
	send(t, s, "topic", "1", "2", "3")
	durable := newReceiver(t, s, "topic", "name")
	receive(t, durable, "1")
	a := newReceiver(t, s, "topic", "name", memstreamer.Ephemeral())
	b := newReceiver(t, s, "topic", "name", memstreamer.Ephemeral())
	receive(t, a, "1", "2")
	late := recv(t, b, "1")
	recv(t, durable, "2")
	require.Len(t, consumers(t, js), 3)
	for _, info := range consumers(t, js) {
		if info.Config.Durable == "" {
			assert.Equal(t, time.Minute, info.Config.InactiveThreshold)
		}
	}
	assert.EqualValues(t, 1, messages(t, js, streamName+"_ACKS"), "the durable one's record")

	require.NoError(t, b.Close())
	require.NoError(t, late(), "after Close")
	require.Eventually(t, func() bool { return len(consumers(t, js)) == 2 }, patience, time.Millisecond)
	receive(t, newReceiver(t, s, "topic", "name", memstreamer.Ephemeral()), "1")
	late = recv(t, a, "3")
	require.NoError(t, s.Close())
	require.Eventually(t, func() bool { return len(consumers(t, js)) == 1 }, patience, time.Millisecond)
	js.Conn().Close()
	require.NoError(t, late(), "after Close of the streamer and the connection")
}

// An ephemeral receiver whose consumer is gone goes on where it was.
func TestEphemeralGone(t *testing.T) {
	t.Run("parked", func(t *testing.T) {
		s, js := startStreamer(t)
		send(t, s, "topic", "1")
		r := newReceiver(t, s, "topic", "name", memstreamer.Ephemeral())
		receive(t, r, "1")
		call := park(t, js, r)
		deleteConsumer(t, js)
		parked(t, js, 1)
		assert.EqualValues(t, 2, consumer(t, js).Config.OptStartSeq, "it need not pass over what was acked")
		send(t, s, "topic", "2")
		require.NoError(t, call.event(t, "2")())
		receivesNext(t, s, r)
	})
	t.Run("with an event", func(t *testing.T) {
		s, js := startStreamer(t)
		send(t, s, "topic", "1", "2")
		r := newReceiver(t, s, "topic", "name", memstreamer.Ephemeral())
		receive(t, r, "1")
		recv(t, r, "2")
		deleteConsumer(t, js)
		late := recv(t, r, "2")
		deleteConsumer(t, js)
		require.NoError(t, late())
		receivesNext(t, s, r)
	})
	t.Run("late ack", func(t *testing.T) {
		s, js := startStreamer(t)
		send(t, s, "topic", "1", "2")
		r := newReceiver(t, s, "topic", "name", memstreamer.Ephemeral())
		late := recv(t, r, "1")
		deleteConsumer(t, js)
		recv(t, r, "1")
		require.NoError(t, late())
		receive(t, r, "2")
		receivesNext(t, s, r)
	})
	t.Run("before the first event", func(t *testing.T) {
		s, js := startStreamer(t)
		send(t, s, "topic", "old")
		latest := newReceiver(t, s, "topic", "name", memstreamer.Ephemeral(), memstreamer.StreamFromLatest())
		deleteConsumer(t, js)
		send(t, s, "topic", "1")
		receive(t, latest, "1")
		require.NoError(t, latest.Close())

		none := newReceiver(t, newStreamer(t, at(js, time.Now().Add(time.Hour))), "topic", "name",
			memstreamer.Ephemeral(), memstreamer.StreamFromLast(time.Hour))
		require.Eventually(t, func() bool { return len(consumers(t, js)) == 1 }, patience, time.Millisecond)
		deleteConsumer(t, js)
		send(t, s, "topic", "2")
		receive(t, none, "2")
	})
	t.Run("with its stream", func(t *testing.T) {
		s, js := startStreamer(t)
		send(t, s, "topic", "1")
		r := newReceiver(t, s, "topic", "name", memstreamer.Ephemeral())
		receive(t, r, "1")
		call := park(t, js, r)
		require.NoError(t, js.DeleteStream(t.Context(), streamName))
		require.ErrorContains(t, call.err(t), "stream not found")
		send(t, newStreamer(t, js), "topic", "1")
		require.ErrorContains(t, start(t.Context(), r).err(t), gone+": stream \"MEMSTREAMER\" was made anew at ")
	})
}

// receivesNext has r receive and ack the event that is sent next, and no other.
func receivesNext(t testing.TB, s memstreamer.EventStreamer, r memstreamer.EventReceiver) {
	t.Helper()
	send(t, s, "topic", "next")
	receive(t, r, "next")
}

// An ephemeral receiver goes on where it was after a restart of its server, whether
// that has kept the consumer or not.
func TestEphemeralRestart(t *testing.T) {
	for what, then := range map[string]func(*testing.T, natsjs.JetStream){
		"kept": func(*testing.T, natsjs.JetStream) {},
		"gone": func(t *testing.T, js natsjs.JetStream) { deleteConsumer(t, js) },
	} {
		t.Run(what, func(t *testing.T) {
			srv := startChild(t)
			js := connectPatiently(t, srv.url())
			s := newStreamer(t, js)
			send(t, s, "topic", "1", "2", "3")
			r := newReceiver(t, s, "topic", "name", memstreamer.Ephemeral())
			receive(t, r, "1")
			ack := recv(t, r, "2")
			require.NoError(t, srv.stop())
			require.NoError(t, srv.start())
			then(t, js)
			recv(t, r, "2")
			require.NoError(t, ack())
			receive(t, r, "3")
		})
	}
}
