package chaos

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startTwo returns the streamers of two processes on one server.
func startTwo(t testing.TB) (here, there *jetstream.Streamer, js natsjs.JetStream) {
	t.Helper()
	here, js = startStreamer(t)
	return here, newStreamer(t, js), js
}

// A process that has an event and does not ack it, be it busy, stuck or cut
// off, does not keep it from the next receiver of the name.
func TestTakeover(t *testing.T) {
	here, there, _ := startTwo(t)
	send(t, here, "topic", "1", "2")
	late := recv(t, newReceiver(t, here, "topic", "name"), "1")

	second := newReceiver(t, there, "topic", "name")
	ack := recv(t, second, "1")
	require.NoError(t, late(), "the ack of the process that lost the event")
	recv(t, second, "2") // and not what is acked
	require.NoError(t, ack())
	recv(t, second, "2")
}

// An ack is good while its event is out of one receiver's hands, and not yet in
// another's.
func TestAckBetweenReceivers(t *testing.T) {
	here, there, _ := startTwo(t)
	send(t, here, "topic", "1", "2")
	first := newReceiver(t, here, "topic", "name")
	late := recv(t, first, "1")
	require.NoError(t, first.Close())
	second := newReceiver(t, there, "topic", "name")
	require.NoError(t, late())
	recv(t, second, "2")
}

// Of receivers that wait in two processes, one gets an event, and the other one
// when the first closes.
func TestGivenBackOnClose(t *testing.T) {
	here, there, js := startTwo(t)
	first, second := newReceiver(t, here, "topic", "name"), newReceiver(t, there, "topic", "name")
	call := park(t, js, first)
	other := start(t.Context(), second)
	parked(t, js, 2)
	send(t, here, "topic", "1") // to the one that waited first
	call.event(t, "1")
	require.NoError(t, first.Close())
	require.NoError(t, other.event(t, "1")())
}

// An event that comes when nobody waits for it any more goes back, so that it
// is not kept from those who wait elsewhere.
func TestGivenBackUnwanted(t *testing.T) {
	here, there, js := startTwo(t)
	giveUp(t, js, newReceiver(t, here, "topic", "name"))
	call := start(t.Context(), newReceiver(t, there, "topic", "name"))
	parked(t, js, 2)
	send(t, here, "topic", "1")
	call.event(t, "1")
}

// TestTooLate has events come just when the Recv that waits for them ends. Those
// that it does not return go to a receiver that waits elsewhere.
func TestTooLate(t *testing.T) {
	t.Parallel()
	here, there, js := startTwo(t)
	late := 0
	for n := range 60 {
		topic := fmt.Sprint("topic-", n)
		requests := pullRequests(t, js, topic+"@name")
		ctx, cancel := context.WithCancel(t.Context())
		first := start(ctx, newReceiver(t, here, topic, "name"))
		await(t, requests, soonest)
		second := start(t.Context(), newReceiver(t, there, topic, "name"))
		await(t, requests, soonest)

		snd := newSender(t, here, topic)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			time.Sleep(time.Duration(n) * 5 * time.Microsecond)
			cancel()
		}()
		require.NoError(t, snd.Send(t.Context(), "1", 1, nil))
		<-ended
		if got := await(t, first, soonest); got.err == nil {
			require.NoError(t, got.ack())
		} else {
			late++
			require.NoError(t, second.event(t, "1")())
		}
	}
	t.Logf("%d of 60 came too late", late)
}

// TestDeliveryToNobody has an event delivered for a cursor that is gone, while a
// receiver of its name waits elsewhere.
func TestDeliveryToNobody(t *testing.T) {
	here, there, js := startTwo(t)
	requests := pullRequests(t, js, "topic@name")
	gone := start(t.Context(), newReceiver(t, here, "topic", "name"))
	first := await(t, requests, soonest)
	call := start(t.Context(), newReceiver(t, there, "topic", "name"))
	await(t, requests, soonest)
	require.NoError(t, js.Conn().PublishMsg(&nats.Msg{Subject: first.Reply, Header: nats.Header{"Status": {"400"}}}))
	require.ErrorContains(t, gone.err(t), "the server refuses pull requests: 400")

	// The pull request of the one that is gone came first.
	send(t, there, "topic", "1")
	call.event(t, "1")
}

// Two processes open receivers of one name before there is an event. The first
// event goes to the one that waits, and stays there when the other one begins to
// wait too.
func TestOpenedTogether(t *testing.T) {
	here, there, js := startTwo(t)
	newReceiver(t, here, "topic", "name") // so that the others find a consumer
	first, second := newReceiver(t, newStreamer(t, js), "topic", "name"), newReceiver(t, there, "topic", "name")
	send(t, here, "topic", "1", "2")
	ack := recv(t, first, "1")

	requests := pullRequests(t, js, "topic@name")
	call := start(t.Context(), second)
	await(t, requests, soonest)
	require.NoError(t, ack())
	call.event(t, "2")
}

// A Recv takes an event from another process and ends before it gets it. The
// ack of the other process is as good as before.
func TestTakeoverGivenUp(t *testing.T) {
	here, there, js := startTwo(t)
	send(t, here, "topic", "1", "2")
	ack := recv(t, newReceiver(t, here, "topic", "name"), "1")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	taken := make(chan struct{})
	note := sync.OnceFunc(func() { close(taken) })
	sub, err := js.Conn().Subscribe("$JS.ACK.>", func(m *nats.Msg) {
		if string(m.Data) == "-NAK" {
			cancel()
			note()
		}
	})
	require.NoError(t, err)
	require.NoError(t, js.Conn().Flush())
	call := start(ctx, newReceiver(t, there, "topic", "name"))
	await(t, taken, soonest)
	require.NoError(t, sub.Unsubscribe())
	await(t, call, soonest)
	require.NoError(t, within(t, ack))
	recv(t, newReceiver(t, there, "topic", "name"), "2")
}

// A cluster counts a delivery before its servers have agreed on it, and does not
// say then which event it was.
func TestTakeoverNotAppliedYet(t *testing.T) {
	here, js := startStreamer(t)
	send(t, here, "topic", "1", "2")
	held := newReceiver(t, here, "topic", "name")
	receive(t, held, "1")
	recv(t, held, "2")

	var asked atomic.Int64
	there := newStreamer(t, fake{JetStream: js, consumerInfo: func(info *natsjs.ConsumerInfo) {
		if asked.Add(1) <= 3 {
			info.Delivered = info.AckFloor
		}
	}})
	recv(t, newReceiver(t, there, "topic", "name"), "2")
	assert.Greater(t, asked.Load(), int64(3))
}

// A server may answer for a consumer that it does not lead, and of which it
// knows only that it exists.
func TestNoLeader(t *testing.T) {
	here, js := startStreamer(t)
	newReceiver(t, here, "topic", "name")
	var asked atomic.Int64
	clustered := func(info *natsjs.StreamInfo) { info.Cluster = &natsjs.ClusterInfo{Name: "cluster"} }
	s := newStreamer(t, fake{JetStream: js, streamInfo: clustered, consumerInfo: func(info *natsjs.ConsumerInfo) {
		n := asked.Add(1)
		info.Cluster = &natsjs.ClusterInfo{Leader: "server"}
		if n <= 2 {
			*info = natsjs.ConsumerInfo{Config: info.Config, Cluster: map[int64]*natsjs.ClusterInfo{2: {}}[n]}
		}
	}})
	send(t, s, "topic", "1")
	r := newReceiver(t, s, "topic", "name")
	recv(t, r, "1")
	recv(t, r, "1") // it was not taken for acked
	assert.Greater(t, asked.Load(), int64(2))
}
