package robustness_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// pullRequests has a copy of each pull request to a consumer that reaches the
// server.
func pullRequests(t *testing.T, js natsjs.JetStream, consumer string) <-chan *nats.Msg {
	t.Helper()
	requests := make(chan *nats.Msg, 100)
	_, err := js.Conn().ChanSubscribe("$JS.API.CONSUMER.MSG.NEXT."+streamName+"."+consumer, requests)
	require.NoError(t, err)
	require.NoError(t, js.Conn().Flush())
	return requests
}

// TestPullAgain ends pull requests in each way in which one may end without an
// event. A Recv that waits sends the next.
func TestPullAgain(t *testing.T) {
	js := startEmbedded(t)
	requests := pullRequests(t, js, "topic@name")
	s := newStreamer(t, js)
	call := start(t.Context(), newReceiver(t, s, "topic", "name"))
	status := func(pull *nats.Msg, code, description string) {
		t.Helper()
		require.NoError(t, js.Conn().PublishMsg(&nats.Msg{
			Subject: pull.Reply, Header: nats.Header{"Status": {code}, "Description": {description}},
		}))
	}
	first := await(t, requests, soonest)
	status(first, "100", "Idle Heartbeat")
	status(first, "408", "Request Timeout")
	second := await(t, requests, soonest)
	status(first, "409", "of a pull request that was given up")
	status(second, "409", "Leadership Change")
	third := await(t, requests, soonest)
	status(third, "503", "")
	await(t, requests, soonest)

	// A server that has no pull request any more, and does not say so.
	for _, advisory := range []string{
		"CONSUMER.LEADER_ELECTED." + streamName + ".topic@name",
		"CONSUMER.DELETED." + streamName + ".topic@name",
		"STREAM.CREATED." + streamName,
		"STREAM.DELETED." + streamName,
	} {
		require.NoError(t, js.Conn().Publish("$JS.EVENT.ADVISORY."+advisory, nil))
		await(t, requests, soonest)
	}
	require.Empty(t, requests)
	send(t, s, "topic", "1")
	got := await(t, call, soonest)
	require.NoError(t, got.err)
	require.Equal(t, "1", got.event.ForeignID)
}

// TestDeliveryToNobody has an event delivered for a cursor that is gone, while a
// receiver of its name waits elsewhere.
func TestDeliveryToNobody(t *testing.T) {
	js := startEmbedded(t)
	requests := pullRequests(t, js, "topic@name")
	gone := start(t.Context(), newReceiver(t, newStreamer(t, js), "topic", "name"))
	first := await(t, requests, soonest)
	there := newStreamer(t, js)
	call := start(t.Context(), newReceiver(t, there, "topic", "name"))
	await(t, requests, soonest)
	require.NoError(t, js.Conn().PublishMsg(&nats.Msg{Subject: first.Reply, Header: nats.Header{"Status": {"400"}}}))
	require.ErrorContains(t, await(t, gone, soonest).err, "the server refuses pull requests: 400")

	// The pull request of the one that is gone came first.
	send(t, there, "topic", "1")
	got := await(t, call, soon)
	require.NoError(t, got.err)
	require.Equal(t, "1", got.event.ForeignID)
}

// TestTooLate has events come just when the Recv that waits for them ends. Those
// that it does not return go to a receiver that waits elsewhere.
func TestTooLate(t *testing.T) {
	js := startEmbedded(t)
	here, there := newStreamer(t, js), newStreamer(t, js)
	late := 0
	for n := range 60 {
		topic := fmt.Sprint("topic-", n)
		requests := pullRequests(t, js, topic+"@name")
		ctx, cancel := context.WithCancel(t.Context())
		first := start(ctx, newReceiver(t, here, topic, "name"))
		await(t, requests, soon)
		second := start(t.Context(), newReceiver(t, there, topic, "name"))
		await(t, requests, soon)

		snd, err := here.NewSender(t.Context(), topic)
		require.NoError(t, err)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			time.Sleep(time.Duration(n) * 5 * time.Microsecond)
			cancel()
		}()
		require.NoError(t, snd.Send(t.Context(), "1", 1, nil))
		<-ended
		got := await(t, first, soon)
		if got.err != nil {
			late++
			got = await(t, second, soon)
			require.NoError(t, got.err)
		}
		require.NoError(t, got.ack())
	}
	t.Logf("%d of 60 came too late", late)
}
