package chaos

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func stream(t testing.TB, js natsjs.JetStream, name string) natsjs.Stream {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	return stream
}

// messages returns how many messages a stream has.
func messages(t testing.TB, js natsjs.JetStream, name string) uint64 {
	t.Helper()
	return stream(t, js, name).CachedInfo().State.Msgs
}

// consumers returns the consumers of the stream.
func consumers(t testing.TB, js natsjs.JetStream) (all []*natsjs.ConsumerInfo) {
	t.Helper()
	list := stream(t, js, streamName).ListConsumers(t.Context())
	for info := range list.Info() {
		all = append(all, info)
	}
	require.NoError(t, list.Err())
	return all
}

// consumer returns the one consumer of the stream.
func consumer(t testing.TB, js natsjs.JetStream) *natsjs.ConsumerInfo {
	t.Helper()
	all := consumers(t, js)
	require.Len(t, all, 1)
	return all[0]
}

// deleteConsumer deletes the one consumer of the stream.
func deleteConsumer(t testing.TB, js natsjs.JetStream) {
	t.Helper()
	require.NoError(t, js.DeleteConsumer(t.Context(), streamName, consumer(t, js).Name))
}

// forget has the server forget what the one consumer of the stream did, as one that
// is killed forgets the last of it.
func forget(t testing.TB, js natsjs.JetStream) {
	t.Helper()
	_, err := js.ResetConsumerToSequence(t.Context(), streamName, consumer(t, js).Name, 1)
	require.NoError(t, err)
}

// parked waits until the server has n pull requests.
func parked(t testing.TB, js natsjs.JetStream, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		waiting := 0
		for _, info := range consumers(t, js) {
			waiting += info.NumWaiting
		}
		return waiting >= n
	}, patience, time.Millisecond)
}

// pullRequests has a copy of each pull request to a consumer that reaches the
// server.
func pullRequests(t testing.TB, js natsjs.JetStream, consumer string) <-chan *nats.Msg {
	t.Helper()
	requests := make(chan *nats.Msg, 100)
	_, err := js.Conn().ChanSubscribe("$JS.API.CONSUMER.MSG.NEXT."+streamName+"."+consumer, requests)
	require.NoError(t, err)
	require.NoError(t, js.Conn().Flush())
	return requests
}
