package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/metrics"
)

// clock is a memstreamer.Clock that its test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// A streamer and a collector that share a clock agree on ages.
func TestCollectorOfAStreamer(t *testing.T) {
	c := &clock{now}
	s := memstreamer.New(memstreamer.WithClock(c))
	sender, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	for range 3 {
		c.now = c.now.Add(time.Second)
		require.NoError(t, sender.Send(t.Context(), "order", 1, nil))
	}
	receiver, err := s.NewReceiver(t.Context(), "orders", "billing")
	require.NoError(t, err)
	_, ack, err := receiver.Recv(t.Context())
	require.NoError(t, err)
	require.NoError(t, ack())
	for range 2 {
		_, _, err = receiver.Recv(t.Context())
		require.NoError(t, err)
	}
	c.now = c.now.Add(10 * time.Second)
	requireSeries(t, register(metrics.NewCollector(s, metrics.WithClock(c))),
		": events_total 3",
		"topic=orders: retained_events 3, sent_events_total 3",
		"topic=orders receiver=billing: acked_events_total 1, deliveries 2, lag_events 2, oldest_unacked_seconds 11, open_receivers 1, parked_receivers 0",
	)
}

// Each ephemeral receiver is a row of Stats, and a registry takes one series of a
// topic and name.
func TestEphemeralReceivers(t *testing.T) {
	c := &clock{now}
	s := memstreamer.New(memstreamer.WithClock(c))
	sender, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, sender.Send(t.Context(), "order", 1, nil))
		c.now = c.now.Add(time.Second)
	}
	open := func(name string, acks, deliveries int, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
		receiver, err := s.NewReceiver(t.Context(), "orders", name, opts...)
		require.NoError(t, err)
		for i := range acks + deliveries {
			_, ack, err := receiver.Recv(t.Context())
			require.NoError(t, err)
			if i < acks {
				require.NoError(t, ack())
			}
		}
		return receiver
	}
	open("billing", 1, 1)
	first := open("billing", 3, 0, memstreamer.Ephemeral())
	open("billing", 0, 4, memstreamer.Ephemeral())
	open("await", 2, 0, memstreamer.Ephemeral())
	open("await", 1, 2, memstreamer.Ephemeral())

	require.Len(t, s.Stats().Receivers, 5)
	registry := register(metrics.NewCollector(s, metrics.WithClock(c)))
	requireSeries(t, registry,
		": events_total 3",
		"topic=orders: retained_events 3, sent_events_total 3",
		"topic=orders receiver=await: deliveries 2, lag_events 2, oldest_unacked_seconds 2, open_receivers 2, parked_receivers 0",
		"topic=orders receiver=billing: acked_events_total 1, deliveries 4, lag_events 3, oldest_unacked_seconds 3, open_receivers 3, parked_receivers 0",
	)
	requireSeries(t, register(metrics.NewCollector(s, metrics.WithClock(c), metrics.WithoutReceiverLabel())),
		": events_total 3",
		"topic=orders: deliveries 4, lag_events 3, oldest_unacked_seconds 3, open_receivers 5, parked_receivers 0, retained_events 3, sent_events_total 3",
	)
	page := get(t, s, "/")
	require.Equal(t, 1, strings.Count(page, "<td>billing <span"))
	require.Equal(t, 2, strings.Count(page, "<td>billing <i>ephemeral</i> <span"))
	require.Equal(t, 2, strings.Count(page, "<td>await <i>ephemeral</i> <span"))

	// Prometheus would take a count that falls for a restart, and add all of it again.
	require.NoError(t, first.Close())
	require.Equal(t, []float64{1}, values(t, registry, "memstreamer_acked_events_total"))
}

// The age of a connector's event counts from the CreatedAt that it came with.
func TestCollectorOfAConnector(t *testing.T) {
	connector := memstreamer.NewConnector([]memstreamer.ConnectorEvent{{ID: "s-7", CreatedAt: now.Add(-time.Minute)}, {ID: "s-8"}})
	consumer, err := connector.Make(t.Context(), "signups")
	require.NoError(t, err)
	ages := func() []float64 {
		return values(t, register(collector(connector)), "memstreamer_oldest_unacked_seconds")
	}
	require.Equal(t, []float64{60}, ages())
	_, ack, err := consumer.Recv(t.Context())
	require.NoError(t, err)
	require.NoError(t, ack())
	require.Equal(t, []float64{0}, ages(), "an event without CreatedAt has no age")
}
