package chaos

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats-server/v2/server"
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

// recordsLate returns JetStream where no record of an ack arrives until release.
func recordsLate(js natsjs.JetStream) (late natsjs.JetStream, release func()) {
	released := make(chan struct{})
	return fake{JetStream: js, record: func(ctx context.Context) error {
		select {
		case <-released:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}, func() { close(released) }
}

// The record of an ack arrives when another process has acked the next event. It
// does not take that ack back.
func TestExactAcksLate(t *testing.T) {
	js := startEmbedded(t)
	late, release := recordsLate(js)
	here := newStreamer(t, late, jetstream.WithExactAcks(), jetstream.WithAckTimeout(patience))
	there := newStreamer(t, js, jetstream.WithExactAcks())
	send(t, there, "topic", "1", "2", "3")
	first := recv(t, newReceiver(t, here, "topic", "name"), "1")
	acked := async(first)
	require.Eventually(t, func() bool { return consumer(t, js).AckFloor.Stream == 1 }, patience, time.Millisecond)
	receive(t, newReceiver(t, there, "topic", "name"), "2")
	release()
	require.NoError(t, await(t, acked, soon))

	forget(t, js)
	recv(t, newReceiver(t, newStreamer(t, js, jetstream.WithExactAcks()), "topic", "name"), "3")
}

// An Ack that is repeated writes the record that it could not write before, though
// the event is acked.
func TestExactAcksRepeated(t *testing.T) {
	js := startEmbedded(t)
	late, release := recordsLate(js)
	s := newStreamer(t, late, jetstream.WithExactAcks(), jetstream.WithAckTimeout(time.Second))
	send(t, s, "topic", "1", "2")
	r := newReceiver(t, s, "topic", "name")
	ack := recv(t, r, "1")
	require.ErrorIs(t, within(t, ack), context.DeadlineExceeded)
	recv(t, r, "2")
	require.Zero(t, messages(t, js, streamName+"_ACKS"))
	release()
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

// startLeaf returns JetStream of a server, and of processes that reach it over a leaf
// node which has none. The server may be killed, and come back, without a
// loss of their connections.
func startLeaf(t testing.TB) (hub, leaf natsjs.JetStream) {
	t.Helper()
	port := freePort(t)
	srv := startServer(t, func(o *server.Options) {
		o.JetStreamDomain, o.LeafNode.Host, o.LeafNode.Port = "hub", "127.0.0.1", port
	})
	remote, err := url.Parse(fmt.Sprintf("nats://127.0.0.1:%d", port))
	require.NoError(t, err)
	node := startServer(t, func(o *server.Options) {
		o.JetStream = false
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{remote}}}
	})
	require.Eventually(t, func() bool { return node.NumLeafNodes() == 1 && srv.NumLeafNodes() == 1 }, patience, time.Millisecond)
	leaf, err = natsjs.NewWithDomain(connect(t, node.ClientURL()).Conn(), "hub")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := leaf.AccountInfo(t.Context())
		return err == nil
	}, patience, 10*time.Millisecond)
	return connect(t, srv.ClientURL()), leaf
}

// The server of the consumer is killed right after an ack, and comes back. Another
// process, whose connection is to another server, does not get the event again, and
// does not wait for AckWait where the server takes it for one that is out.
func TestExactAcksHidden(t *testing.T) {
	for what, then := range map[string]func(*testing.T, natsjs.JetStream){
		"acks and deliveries": func(*testing.T, natsjs.JetStream) {},
		"acks": func(t *testing.T, js natsjs.JetStream) {
			c, err := js.Consumer(t.Context(), streamName, consumer(t, js).Name)
			require.NoError(t, err)
			_, err = c.Next()
			require.NoError(t, err)
		},
	} {
		t.Run("forgotten "+what, func(t *testing.T) {
			hub, leaf := startLeaf(t)
			here := newStreamer(t, leaf, jetstream.WithExactAcks())
			there := newStreamer(t, leaf, jetstream.WithExactAcks())
			send(t, here, "topic", "1", "2", "3")
			r := newReceiver(t, there, "topic", "name")
			receive(t, newReceiver(t, here, "topic", "name"), "1", "2")
			forget(t, hub)
			then(t, hub)
			receive(t, r, "3")
		})
	}
}
