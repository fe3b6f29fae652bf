package robustness_test

import (
	"fmt"
	"testing"

	"github.com/memstreamer/memstreamer"
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
		require.NoError(t, recv(t, r, "2")())
	}
}

// TestAckOfForgottenDelivery has a server forget several deliveries, as one that
// was killed does, and only then get the ack of the last.
func TestAckOfForgottenDelivery(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	send(t, s, "topic", "1", "2", "3", "4")
	r := newReceiver(t, s, "topic", "name")
	require.NoError(t, recv(t, r, "1")())
	require.NoError(t, recv(t, r, "2")())
	ack := recv(t, r, "3")
	_, err := js.ResetConsumerToSequence(t.Context(), streamName, consumer(t, js).Name, 1)
	require.NoError(t, err)
	require.NoError(t, within(t, ack))
	assert.EqualValues(t, 3, consumer(t, js).AckFloor.Stream)
	recv(t, r, "4")
}

// The server may have forgotten an ack and not its delivery. To it the event is
// out, and nobody has it.
func TestAckOfForgottenDeliveryBehindAnother(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	send(t, s, "topic", "1", "2", "3", "4")
	r := newReceiver(t, s, "topic", "name")
	require.NoError(t, recv(t, r, "1")())
	require.NoError(t, recv(t, r, "2")())
	ack := recv(t, r, "3")
	_, err := js.ResetConsumerToSequence(t.Context(), streamName, consumer(t, js).Name, 1)
	require.NoError(t, err)
	c, err := js.Consumer(t.Context(), streamName, consumer(t, js).Name)
	require.NoError(t, err)
	msg, err := c.Next()
	require.NoError(t, err)
	require.Contains(t, string(msg.Data()), `"1"`)
	require.NoError(t, within(t, ack))
	assert.EqualValues(t, 3, consumer(t, js).AckFloor.Stream)
	recv(t, r, "4")
}

// The event whose delivery the server forgot may be gone by then.
func TestAckOfForgottenEvent(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	send(t, s, "topic", "1", "2")
	r := newReceiver(t, s, "topic", "name")
	ack := recv(t, r, "1")
	_, err := js.ResetConsumerToSequence(t.Context(), streamName, consumer(t, js).Name, 1)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), streamName)
	require.NoError(t, err)
	require.NoError(t, stream.DeleteMsg(t.Context(), 1))
	require.NoError(t, within(t, ack))
	recv(t, r, "2")
}
