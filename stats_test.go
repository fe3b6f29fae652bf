package memstreamer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

func TestStats(t *testing.T) {
	clock := newSteppedClock()
	s := memstreamer.New(memstreamer.WithClock(clock))
	require.Equal(t, memstreamer.Stats{Topics: []memstreamer.TopicStats{}, Receivers: []memstreamer.ReceiverStats{}}, s.Stats())

	b, a := newSender(t, s, "b"), newSender(t, s, "a")
	newSender(t, s, "empty")
	at := clock.Now()
	send(t, b, "1")
	send(t, a, "2")
	clock.Step(time.Second)
	send(t, b, "3")
	x := newReceiver(t, s, "b", "x")
	newReceiver(t, s, "b", "x")
	recv(t, x)
	for range 3 {
		_, _, err := x.Recv(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, newReceiver(t, s, "b", "closed").Close())
	newReceiver(t, s, "b", "latest", memstreamer.StreamFromLatest())
	parked := newReceiver(t, s, "a", "y")
	recv(t, parked)

	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() {
			_, _, err := parked.Recv(ctx)
			assert.Equal(t, context.Canceled, err)
		})
	}
	require.Eventually(t, func() bool { return s.Stats().Receivers[0].Parked == 2 }, 10*time.Second, time.Millisecond)
	want := memstreamer.Stats{
		Topics: []memstreamer.TopicStats{
			{Topic: "a", Retained: 1, FirstID: 2, LastID: 2, Sent: 1},
			{Topic: "b", Retained: 2, FirstID: 1, LastID: 3, Sent: 2},
			{Topic: "empty"},
		},
		Receivers: []memstreamer.ReceiverStats{
			{Topic: "a", Name: "y", Open: 1, Parked: 2, AckedID: 2, Acked: 1},
			{Topic: "b", Name: "closed", Lag: 2, OldestUnacked: at},
			{Topic: "b", Name: "latest", Open: 1},
			{Topic: "b", Name: "x", Open: 2, Lag: 1, AckedID: 1, OldestUnacked: at.Add(time.Second), Deliveries: 3, Acked: 1},
		},
	}
	require.Equal(t, want, s.Stats())

	cancel()
	waiting.Wait()
	require.NoError(t, s.Close())
	want.Receivers[0].Parked = 0
	require.Equal(t, want, s.Stats(), "after Close")
}

// A delivery that its context forestalled does not count, and takes nothing from
// the count of another receiver's.
func TestDeliveriesThatDoNotComeAbout(t *testing.T) {
	for name, meanwhile := range map[string]bool{"alone": false, "another receiver acks meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstreamer.New()
				sender := newSender(t, s, "orders")
				r, other := newReceiver(t, s, "orders", "step"), newReceiver(t, s, "orders", "step")
				want := int64(0)
				calls := 0
				ctx := errContext{t.Context(), func() error {
					if calls++; calls == 1 {
						return nil
					}
					if meanwhile && calls == 2 {
						recv(t, other)
						_, _, err := other.Recv(t.Context())
						assert.NoError(t, err)
						want = 1
					}
					return context.Canceled
				}}
				go func() {
					synctest.Wait() // until Recv is parked
					assert.NoError(t, sender.Send(t.Context(), "1", 1, nil))
					assert.NoError(t, sender.Send(t.Context(), "2", 1, nil))
				}()
				_, _, err := r.Recv(ctx)
				require.Equal(t, context.Canceled, err)
				require.Equal(t, want, s.Stats().Receivers[0].Deliveries)
			})
		})
	}
}

// errContext is done once err says so, which no watcher learns.
type errContext struct {
	context.Context
	err func() error
}

func (errContext) Done() <-chan struct{} { return nil }
func (c errContext) Err() error          { return c.err() }

// One snapshot is of one moment: in each, what is acked and what lags are
// together all that was sent.
func TestStatsAreConsistent(t *testing.T) {
	s := memstreamer.New()
	sender := newSender(t, s, "orders")
	r := newReceiver(t, s, "orders", "step")
	var busy sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer busy.Wait()
	defer cancel()
	busy.Go(func() {
		for ctx.Err() == nil {
			assert.NoError(t, sender.Send(t.Context(), "", 1, nil))
		}
	})
	busy.Go(func() {
		for ctx.Err() == nil {
			if _, ack, err := r.Recv(ctx); err == nil {
				assert.NoError(t, ack())
			}
		}
	})
	for range 200 {
		stats := s.Stats()
		topic, receiver := stats.Topics[0], stats.Receivers[0]
		require.EqualValues(t, topic.LastID, topic.Retained, fmt.Sprint(stats))
		require.EqualValues(t, topic.LastID, topic.Sent, fmt.Sprint(stats))
		require.EqualValues(t, topic.LastID, receiver.AckedID+receiver.Lag, fmt.Sprint(stats))
		require.EqualValues(t, receiver.AckedID, receiver.Acked, fmt.Sprint(stats))
	}
}

func TestConnectorStats(t *testing.T) {
	c := memstreamer.NewConnector(make([]memstreamer.ConnectorEvent, 3))
	consumer := newConsumer(t, c, "step")
	_, ack, err := consumer.Recv(t.Context())
	require.NoError(t, err)
	require.NoError(t, ack())
	require.Equal(t, memstreamer.Stats{
		Topics:    []memstreamer.TopicStats{{Topic: "connector", Retained: 3, FirstID: 1, LastID: 3, Sent: 3}},
		Receivers: []memstreamer.ReceiverStats{{Topic: "connector", Name: "step", Open: 1, Lag: 2, AckedID: 1, Acked: 1, OldestUnacked: time.Time{}.Local()}},
	}, c.Stats())
}
