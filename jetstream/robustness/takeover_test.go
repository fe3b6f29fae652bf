package robustness_test

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
	"golang.org/x/sync/errgroup"
)

// A process that has an event and does not ack it, be it busy, stuck or cut
// off, does not keep it from the next receiver of the name.
func TestTakeover(t *testing.T) {
	js := startEmbedded(t)
	here, there := newStreamer(t, js), newStreamer(t, js)
	send(t, here, "topic", "1", "2")
	first := newReceiver(t, here, "topic", "name")
	late := recv(t, first, "1")

	second := newReceiver(t, there, "topic", "name")
	ack := recv(t, second, "1")
	require.NoError(t, late(), "the ack of the process that lost the event")
	recv(t, second, "2") // and not what is acked
	require.NoError(t, ack())
	recv(t, second, "2")
}

// Two processes open receivers of one name before there is an event. The first
// event goes to the one that waits, and stays there when the other one begins to
// wait too.
func TestOpenedTogether(t *testing.T) {
	js := startEmbedded(t)
	here, there := newStreamer(t, js), newStreamer(t, js)
	newReceiver(t, here, "topic", "name") // so that the others find a consumer
	first, second := newReceiver(t, newStreamer(t, js), "topic", "name"), newReceiver(t, there, "topic", "name")
	send(t, here, "topic", "1", "2")
	ack := recv(t, first, "1")

	requests := pullRequests(t, js, "topic@name")
	call := start(t.Context(), second)
	await(t, requests, soonest)
	require.NoError(t, ack())
	got := await(t, call, soonest)
	require.NoError(t, got.err)
	assert.Equal(t, "2", got.event.ForeignID)
}

// A Recv takes an event from another process and ends before it gets it. The
// ack of the other process is as good as before.
func TestTakeoverGivenUp(t *testing.T) {
	js := startEmbedded(t)
	here, there := newStreamer(t, js), newStreamer(t, js)
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
	js := startEmbedded(t)
	here := newStreamer(t, js)
	send(t, here, "topic", "1", "2")
	held := newReceiver(t, here, "topic", "name")
	require.NoError(t, recv(t, held, "1")())
	recv(t, held, "2")

	var asked atomic.Int64
	there := newStreamer(t, forged{JetStream: js, info: func(info *natsjs.ConsumerInfo) {
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
	js := startEmbedded(t)
	newReceiver(t, newStreamer(t, js), "topic", "name")
	var asked atomic.Int64
	s := newStreamer(t, forged{JetStream: js, clustered: true, info: func(info *natsjs.ConsumerInfo) {
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

// TestTakeoverKeepsAcks opens receivers in one process all the time, each of
// which takes over, while another process receives and acks in a cluster. No
// event comes after its ack was confirmed.
func TestTakeoverKeepsAcks(t *testing.T) {
	events := atLength(250)
	js := startCluster(t).connect(t)
	here, there := newStreamer(t, js, jetstream.WithReplicas(3)), newStreamer(t, js, jetstream.WithReplicas(3))
	snd, err := here.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	for n := range events {
		require.NoError(t, snd.Send(t.Context(), fmt.Sprint(n), 1, nil))
	}

	var floor atomic.Int64 // the last event whose ack was confirmed
	takeOver := func(ctx context.Context) error {
		r, err := there.NewReceiver(ctx, "topic", "name")
		if err != nil {
			return err
		}
		defer r.Close()
		brief, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		acked := floor.Load()
		e, _, err := r.Recv(brief)
		if err == nil && e.ID <= acked {
			return fmt.Errorf("event %d came after the ack of event %d", e.ID, acked)
		}
		return nil
	}
	work, ctx := errgroup.WithContext(t.Context())
	taking, stop := context.WithCancel(ctx)
	work.Go(func() error {
		for taking.Err() == nil {
			if err := takeOver(taking); err != nil && taking.Err() == nil {
				return err
			}
		}
		return nil
	})
	work.Go(func() error {
		defer stop()
		r, err := here.NewReceiver(ctx, "topic", "name")
		if err != nil {
			return err
		}
		for floor.Load() < int64(events) {
			acked := floor.Load()
			e, ack, err := r.Recv(ctx)
			if err != nil {
				return err
			}
			if e.ID <= acked {
				return fmt.Errorf("event %d came after its ack", e.ID)
			}
			if err := ack(); err != nil {
				return err
			}
			floor.Store(e.ID)
		}
		return r.Close()
	})
	require.NoError(t, work.Wait())
}
