package metrics_test

import (
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
	require.Equal(t, `memstreamer_acked_events_total{receiver="billing",topic="orders"} 1
memstreamer_deliveries{receiver="billing",topic="orders"} 2
memstreamer_events_total 3
memstreamer_lag_events{receiver="billing",topic="orders"} 2
memstreamer_oldest_unacked_seconds{receiver="billing",topic="orders"} 11
memstreamer_open_receivers{receiver="billing",topic="orders"} 1
memstreamer_parked_receivers{receiver="billing",topic="orders"} 0
memstreamer_retained_events{topic="orders"} 3
memstreamer_sent_events_total{topic="orders"} 3
`, scrape(t, register(metrics.NewCollector(s, metrics.WithClock(c)))))
}

// The age of a connector's event counts from the CreatedAt that it came with.
func TestCollectorOfAConnector(t *testing.T) {
	connector := memstreamer.NewConnector([]memstreamer.ConnectorEvent{{ID: "s-7", CreatedAt: now.Add(-time.Minute)}, {ID: "s-8"}})
	consumer, err := connector.Make(t.Context(), "signups")
	require.NoError(t, err)
	ages := func() (ages []float64) {
		families, err := register(collector(connector)).Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() == "memstreamer_oldest_unacked_seconds" {
				ages = append(ages, family.GetMetric()[0].GetGauge().GetValue())
			}
		}
		return ages
	}
	require.Equal(t, []float64{60}, ages())
	_, ack, err := consumer.Recv(t.Context())
	require.NoError(t, err)
	require.NoError(t, ack())
	require.Equal(t, []float64{0}, ages(), "an event without CreatedAt has no age")
}
