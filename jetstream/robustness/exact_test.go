package robustness_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/jetstream"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExactAcks kills a server right after acks, again and again. None of the
// events comes again, to processes that have seen none of them.
func TestExactAcks(t *testing.T) {
	t.Parallel()
	const (
		kills  = 5
		events = 50 // before each
	)
	srv := startChild(t)
	js := connectPatiently(t, srv.url())
	s := newStreamer(t, js, jetstream.WithExactAcks())
	var names []string
	for n := range (kills + 1) * events {
		names = append(names, fmt.Sprint(n))
	}
	send(t, s, "topic", names...)
	forgotten := uint64(0)
	for range kills {
		receive(t, newReceiver(t, s, "topic", "name"), names[:events]...)
		names = names[events:]
		require.NoError(t, srv.kill())
		require.NoError(t, s.Close())
		require.NoError(t, srv.start())
		s = newStreamer(t, js, jetstream.WithExactAcks())
		floor := consumer(t, js).AckFloor.Stream
		forgotten += uint64((kills+1)*events-len(names)) - floor
	}
	receive(t, newReceiver(t, s, "topic", "name"), names[0])
	assert.NotZero(t, forgotten, "the server forgot no ack, so that this shows nothing")
	t.Logf("%d kills made the server forget %d acks, some more than once", kills, forgotten)
}

// lateRecords is JetStream where no record of an ack arrives until released is closed.
type lateRecords struct {
	natsjs.JetStream
	released <-chan struct{}
}

func (l lateRecords) Publish(ctx context.Context, subject string, body []byte, opts ...natsjs.PublishOpt) (*natsjs.PubAck, error) {
	select {
	case <-l.released:
		return l.JetStream.Publish(ctx, subject, body, opts...)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// The record of an ack arrives when another process has acked the next event. It
// does not take that ack back.
func TestExactAcksLate(t *testing.T) {
	js := startEmbedded(t)
	released := make(chan struct{})
	here := newStreamer(t, lateRecords{js, released}, jetstream.WithExactAcks(), jetstream.WithAckTimeout(patience))
	there := newStreamer(t, js, jetstream.WithExactAcks())
	send(t, there, "topic", "1", "2", "3")
	first := recv(t, newReceiver(t, here, "topic", "name"), "1")
	acked := make(chan error, 1)
	go func() { acked <- first() }()
	require.Eventually(t, func() bool { return consumer(t, js).AckFloor.Stream == 1 }, patience, time.Millisecond)
	receive(t, newReceiver(t, there, "topic", "name"), "2")
	close(released)
	require.NoError(t, await(t, acked, soon))

	forget(t, js)
	recv(t, newReceiver(t, newStreamer(t, js, jetstream.WithExactAcks()), "topic", "name"), "3")
}

// An Ack that is repeated writes the record that it could not write before, though
// the event is acked.
func TestExactAcksRepeated(t *testing.T) {
	js := startEmbedded(t)
	released := make(chan struct{})
	s := newStreamer(t, lateRecords{js, released}, jetstream.WithExactAcks(), jetstream.WithAckTimeout(time.Second))
	send(t, s, "topic", "1", "2")
	r := newReceiver(t, s, "topic", "name")
	ack := recv(t, r, "1")
	require.ErrorIs(t, within(t, ack), context.DeadlineExceeded)
	recv(t, r, "2")
	require.Zero(t, messages(t, js, streamName+"_ACKS"))
	close(released)
	require.NoError(t, within(t, ack))
	require.EqualValues(t, 1, messages(t, js, streamName+"_ACKS"))
}

// The record of an ack goes with its cursor.
func TestExactAcksForget(t *testing.T) {
	s, js := startStreamer(t, jetstream.WithExactAcks())
	send(t, s, "topic", "1", "2")
	r := newReceiver(t, s, "topic", "name")
	receive(t, r, "1")
	require.NoError(t, r.Close())
	require.EqualValues(t, 1, messages(t, js, streamName+"_ACKS"))
	require.NoError(t, s.Forget(t.Context(), "topic", "name"))
	require.Zero(t, messages(t, js, streamName+"_ACKS"))

	receive(t, newReceiver(t, s, "topic", "name"), "1", "2")
	require.EqualValues(t, 1, messages(t, js, streamName+"_ACKS"), "one is kept")
	// Somebody else deletes the consumer.
	deleteConsumer(t, js)
	newReceiver(t, newStreamer(t, js, jetstream.WithExactAcks()), "topic", "name")
	recv(t, newReceiver(t, newStreamer(t, js, jetstream.WithExactAcks()), "topic", "name"), "1")
}

func TestExactAcksExpire(t *testing.T) {
	t.Parallel() // it waits most of the time
	s, js := startStreamer(t, jetstream.WithExactAcks(), jetstream.WithConsumerInactivity(3*time.Second))
	send(t, s, "topic", "1")
	r := newReceiver(t, s, "topic", "name")
	receive(t, r, "1")
	require.NoError(t, r.Close())
	require.Eventually(t, func() bool { return messages(t, js, streamName+"_ACKS") == 0 }, patience, 10*time.Millisecond)
}
