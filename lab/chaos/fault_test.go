package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestSilentServer has a server that takes what it is sent and says nothing, and no
// other to connect to.
func TestSilentServer(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	js, l := startLine(t, nats.NoReconnect())
	direct := connect(t, l.server.ClientURL())
	s := newStreamer(t, js, jetstream.WithAckTimeout(50*time.Millisecond))
	snd := newSender(t, s, "topic")
	r := newReceiver(t, s, "topic", "name")
	send(t, s, "topic", "1")
	ack := recv(t, r, "1")
	idle := newReceiver(t, s, "empty", "name")
	call := start(t.Context(), idle)
	parked(t, direct, 1)

	l.mute()
	all := calls(js, s, snd, idle)
	all["Recv again"] = calls(js, s, snd, r)["Recv"]
	for what, call := range all {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			assert.ErrorIs(t, within(t, func() error { return call(ctx) }), context.DeadlineExceeded)

			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			assert.ErrorIs(t, within(t, func() error { return call(ctx) }), context.Canceled)
		})
	}
	t.Run("Ack", func(t *testing.T) {
		assert.ErrorContains(t, within(t, ack), "Ack of event 1: not confirmed: the server is not available")
	})
	t.Run("Close", func(t *testing.T) {
		before := messages(t, direct, streamName)
		sent := async(func() error { return snd.Send(t.Context(), "3", 1, nil) })
		require.Eventually(t, func() bool { return messages(t, direct, streamName) == before+1 }, patience, time.Millisecond)
		assert.NoError(t, within(t, s.Close))
		assert.ErrorIs(t, await(t, sent, soon), memstreamer.ErrClosed)
		assert.ErrorIs(t, call.err(t), memstreamer.ErrClosed)
	})
}

// TestUnknownOutcome loses the server's answers to a Send and an Ack, which have to find
// out on the next connection that the event is there, and acked.
func TestUnknownOutcome(t *testing.T) {
	js, l := startLine(t)
	s := newStreamer(t, js)
	snd := newSender(t, s, "topic")
	send(t, s, "topic", "1")
	ack := recv(t, newReceiver(t, s, "topic", "name"), "1")
	direct := connect(t, l.server.ClientURL())
	l.mute()
	sent, acked := async(func() error { return snd.Send(t.Context(), "2", 1, nil) }), async(ack)
	require.Eventually(t, func() bool {
		return messages(t, direct, streamName) == 2 && consumer(t, direct).AckFloor.Stream == 1
	}, patience, time.Millisecond)
	l.cut()
	l.speak()
	require.NoError(t, await(t, sent, patience))
	require.NoError(t, await(t, acked, patience))
	send(t, s, "topic", "3")
	require.EqualValues(t, 3, messages(t, direct, streamName))
}

// TestLostDelivery loses an event on its way to a Recv that waits for it.
func TestLostDelivery(t *testing.T) {
	js, l := startLine(t)
	s := newStreamer(t, js)
	call := park(t, js, newReceiver(t, s, "topic", "name"))
	l.mute()
	direct := connect(t, l.server.ClientURL())
	send(t, newStreamer(t, direct), "topic", "1")
	require.Eventually(t, func() bool { return consumer(t, direct).NumAckPending == 1 }, patience, time.Millisecond)
	l.cut()
	l.speak()
	require.NoError(t, call.event(t, "1")())
}

// TestHangingServer has the server that is connected to hang, while another, which here
// is the same, is up. No call waits for the pings of nats.go, which take minutes.
func TestHangingServer(t *testing.T) {
	for _, what := range []string{"Send", "Recv", "Ack"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			js, l := startLine(t)
			s := newStreamer(t, js)
			send(t, s, "topic", "1")
			r := newReceiver(t, s, "topic", "name")
			ack := recv(t, r, "1")
			snd := newSender(t, s, "topic")
			idle := park(t, js, newReceiver(t, s, "idle", "name"))
			l.hang()
			switch what {
			case "Send":
				require.NoError(t, within(t, func() error { return snd.Send(t.Context(), "2", 1, nil) }))
			case "Recv":
				send(t, newStreamer(t, connect(t, l.server.ClientURL())), "idle", "1")
				require.NoError(t, await(t, idle, soon).err)
			case "Ack":
				require.NoError(t, within(t, ack))
			}
		})
	}
}
