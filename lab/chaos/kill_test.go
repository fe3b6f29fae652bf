package chaos

import (
	"fmt"
	"testing"

	"github.com/memstreamer/memstreamer"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// TestAckAfterKill kills a server that has just delivered events to 16 names, and
// starts it again. It has forgotten the deliveries, and answers no ack for them.
func TestAckAfterKill(t *testing.T) {
	const names = 16
	srv := startChild(t)
	s := newStreamer(t, connectPatiently(t, srv.url()))
	send(t, s, "topic", "1", "2")
	var receivers [names]memstreamer.EventReceiver
	var acks [names]memstreamer.Ack
	for n := range names {
		receivers[n] = newReceiver(t, s, "topic", fmt.Sprint("name ", n))
	}
	for n, r := range receivers {
		acks[n] = recv(t, r, "1")
	}
	require.NoError(t, srv.kill())
	require.NoError(t, srv.start())

	var acking errgroup.Group
	for _, ack := range acks {
		acking.Go(ack)
	}
	require.NoError(t, within(t, acking.Wait))
	for _, r := range receivers {
		receive(t, r, "2")
	}
}

// A server that was killed has forgotten the acks of its last moment. A process that
// lives on has not.
func TestForgottenAck(t *testing.T) {
	s, js := startStreamer(t)
	send(t, s, "topic", "1", "2", "3")
	r := newReceiver(t, s, "topic", "name")
	receive(t, r, "1", "2")
	forget(t, js)
	receive(t, r, "3")
	assert.EqualValues(t, 3, consumer(t, js).AckFloor.Stream)
}

// TestAckOfForgottenDelivery has a server forget several deliveries, and only then
// get the ack of the last.
func TestAckOfForgottenDelivery(t *testing.T) {
	for name, then := range map[string]func(*testing.T, natsjs.JetStream){
		"": func(*testing.T, natsjs.JetStream) {},
		// The server has forgotten an ack and not its delivery. To it the event is out,
		// and nobody has it.
		"behind another": func(t *testing.T, js natsjs.JetStream) {
			c, err := js.Consumer(t.Context(), streamName, consumer(t, js).Name)
			require.NoError(t, err)
			msg, err := c.Next()
			require.NoError(t, err)
			require.Contains(t, string(msg.Data()), `"1"`)
		},
		"of an event that is gone": func(t *testing.T, js natsjs.JetStream) {
			require.NoError(t, stream(t, js, streamName).DeleteMsg(t.Context(), 3))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, js := startStreamer(t)
			send(t, s, "topic", "1", "2", "3", "4")
			r := newReceiver(t, s, "topic", "name")
			receive(t, r, "1", "2")
			ack := recv(t, r, "3")
			forget(t, js)
			then(t, js)
			require.NoError(t, within(t, ack))
			assert.GreaterOrEqual(t, consumer(t, js).AckFloor.Stream, uint64(2))
			recv(t, r, "4")
		})
	}
}
