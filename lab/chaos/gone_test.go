package chaos

import (
	"context"
	"fmt"
	"testing"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const gone = "the cursor is gone from the server"

func TestCursorGone(t *testing.T) {
	s, js := startStreamer(t)
	send(t, s, "topic", "1")
	r := newReceiver(t, s, "topic", "name")
	receive(t, r, "1")
	call := park(t, js, r)
	deleteConsumer(t, js)
	require.ErrorContains(t, call.err(t), gone)
	require.ErrorContains(t, start(t.Context(), r).err(t), gone)
	require.NoError(t, r.Close())

	ack := recv(t, newReceiver(t, s, "topic", "name"), "1") // it is a new cursor
	deleteConsumer(t, js)
	require.ErrorContains(t, ack(), "event 1: not confirmed: "+gone)
}

func TestStreamGone(t *testing.T) {
	s, js := startStreamer(t)
	call := park(t, js, newReceiver(t, s, "topic", "name"))
	require.NoError(t, js.DeleteStream(t.Context(), streamName))
	require.ErrorContains(t, call.err(t), gone)
	_, err := s.NewReceiver(t.Context(), "topic", "another")
	require.ErrorContains(t, err, "stream not found")
	require.ErrorContains(t, newSender(t, s, "topic").Send(t.Context(), "1", 1, nil), "stream \"MEMSTREAMER\" was deleted")
}

// TestMadeAnew has the stream or the consumer made anew while a process lives
// that acked events of the old one. It acks none of the new, which have the same
// IDs, and the next receiver gets them all.
func TestMadeAnew(t *testing.T) {
	before, after := []string{"old 1", "old 2", "old 3"}, []string{"new 1", "new 2", "new 3"}
	for what, anew := range map[string]func(t *testing.T, srv *child, js natsjs.JetStream){
		"server": func(t *testing.T, srv *child, _ natsjs.JetStream) {
			require.NoError(t, srv.stop())
			require.NoError(t, srv.start())
		},
		"stream": func(t *testing.T, _ *child, js natsjs.JetStream) {
			require.NoError(t, js.DeleteStream(t.Context(), streamName))
		},
		"consumer": func(t *testing.T, _ *child, js natsjs.JetStream) { deleteConsumer(t, js) },
	} {
		for _, parks := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/parked=%t", what, parks), func(t *testing.T) {
				srv := startChild(t)
				js := connectPatiently(t, srv.url())
				s := newStreamer(t, js, jetstream.WithStorage(natsjs.MemoryStorage))
				send(t, s, "topic", before...)
				r := newReceiver(t, s, "topic", "name")
				receive(t, r, before...)
				var call call
				if parks {
					call = park(t, js, r)
				}

				anew(t, srv, js)
				other := newStreamer(t, connectPatiently(t, srv.url()), jetstream.WithStorage(natsjs.MemoryStorage))
				require.NoError(t, newReceiver(t, other, "topic", "name").Close())
				send(t, other, "topic", after...)

				if !parks {
					call = start(t.Context(), r)
				}
				require.ErrorContains(t, call.err(t), gone)
				require.NoError(t, r.Close())
				r = newReceiver(t, s, "topic", "name")
				if what == "consumer" {
					receive(t, r, before...)
				}
				receive(t, r, after...)
			})
		}
	}
}

// An Ack of an event of the old stream is not taken for one of the new event that
// has its ID.
func TestLateAckOfOldStream(t *testing.T) {
	s, js := startStreamer(t)
	send(t, s, "topic", "old")
	r := newReceiver(t, s, "topic", "name")
	late := recv(t, r, "old")
	require.NoError(t, js.DeleteStream(t.Context(), streamName))
	other := newStreamer(t, js)
	send(t, other, "topic", "new")
	elsewhere := newReceiver(t, other, "topic", "name")
	recv(t, elsewhere, "new")

	require.ErrorContains(t, start(t.Context(), r).err(t), gone+", and another was made in its place")
	require.ErrorContains(t, late(), gone)
	recv(t, elsewhere, "new")
}

func TestForget(t *testing.T) {
	s, js := startStreamer(t)
	require.NoError(t, s.Forget(t.Context(), "topic", "name"), "there is no such name")
	send(t, s, "topic", "1", "2")
	r := newReceiver(t, s, "topic", "name")
	receive(t, r, "1")
	late := recv(t, r, "2")
	require.ErrorContains(t, s.Forget(t.Context(), "topic", "name"), `a receiver of topic "topic" and name "name" is open: close it first`)
	require.ErrorContains(t, s.Forget(t.Context(), "", "name"), "Forget: topic is empty")
	require.ErrorContains(t, s.Forget(t.Context(), "topic", ""), "Forget: name is empty")
	require.NoError(t, r.Close())
	require.NoError(t, s.Forget(t.Context(), "topic", "name"))
	require.Empty(t, consumers(t, js))
	require.ErrorContains(t, late(), gone)

	r = newReceiver(t, s, "topic", "name")
	recv(t, r, "1")
	require.ErrorContains(t, late(), gone)
	receive(t, r, "1", "2")

	// Another process has it open.
	require.NoError(t, newStreamer(t, js).Forget(t.Context(), "topic", "name"))
	require.ErrorContains(t, start(t.Context(), r).err(t), gone)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, s.Forget(cancelled, "topic", "name"))
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Forget(t.Context(), "topic", "name"), memstreamer.ErrClosed)
}

// Forget may come while a pull request of a Recv that was given up is with the
// server.
func TestForgetPulling(t *testing.T) {
	s, js := startStreamer(t)
	r := newReceiver(t, s, "topic", "name")
	giveUp(t, js, r)
	require.NoError(t, r.Close())
	require.NoError(t, s.Forget(t.Context(), "topic", "name"))
	r = newReceiver(t, s, "topic", "name")
	send(t, s, "topic", "1")
	receive(t, r, "1")
}
