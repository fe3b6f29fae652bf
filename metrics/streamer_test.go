package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/metrics"
)

// clock is a memstreamer.Clock that its test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// A streamer and a collector that share a clock agree on ages. Each ephemeral receiver
// is a row of Stats, and a registry takes one series of a topic and name.
func TestCollectorOfAStreamer(t *testing.T) {
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
	registry := register(metrics.NewCollector(s, metrics.WithClock(c)))
	requireSeries(t, registry,
		": events_total 3, up 1",
		"topic=orders: retained_events 3, sent_events_total 3",
		"topic=orders receiver=await: deliveries 2, lag_events 2, oldest_unacked_seconds 2, open_receivers 2, parked_receivers 0",
		"topic=orders receiver=billing: acked_events_total 1, deliveries 4, lag_events 3, oldest_unacked_seconds 3, open_receivers 3, parked_receivers 0",
	)
	requireSeries(t, register(metrics.NewCollector(s, metrics.WithClock(c), metrics.WithoutReceiverLabel())),
		": events_total 3, up 1",
		"topic=orders: deliveries 4, lag_events 3, oldest_unacked_seconds 3, open_receivers 5, parked_receivers 0, retained_events 3, sent_events_total 3",
	)

	// Prometheus would take a count that falls for a restart, and add all of it again.
	require.NoError(t, first.Close())
	require.Equal(t, []float64{1}, values(t, registry, "memstreamer_acked_events_total"))
}

// The age of a connector's event counts from the CreatedAt that it came with.
func TestCollectorOfAConnector(t *testing.T) {
	connector := memstreamer.NewConnector([]memstreamer.ConnectorEvent{{ID: "s-7", CreatedAt: now.Add(-time.Minute)}, {ID: "s-8"}})
	_, err := connector.Make(t.Context(), "signups")
	require.NoError(t, err)
	require.Equal(t, []float64{60}, values(t, register(collector(connector)), "memstreamer_oldest_unacked_seconds"))
}

// remote is a streamer that asks a server, as that of package jetstream does.
type remote func(context.Context) (memstreamer.Stats, error)

func (f remote) Stats(ctx context.Context) (memstreamer.Stats, error) { return f(ctx) }

// A server that does not answer holds up neither a scrape, which has the metrics of
// others too, nor the page. It is there again as soon as it answers.
func TestStatsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := true
		s := remote(func(ctx context.Context) (memstreamer.Stats, error) {
			if !silent {
				return busy.Stats(), nil
			}
			<-ctx.Done()
			return memstreamer.Stats{}, errors.New("no answer from <nats>")
		})
		registry := register(collector(s))
		started := time.Now()
		requireSeries(t, registry, ": up 0")
		for target, says := range map[string]string{
			"/":      `<p class="late">Cannot read the streamer's Stats: no answer from &lt;nats&gt;</p>`,
			"/?json": `{"error":"no answer from \u003cnats\u003e","receivers":[],"topics":[]}`,
		} {
			w := httptest.NewRecorder()
			metrics.NewHandler(s).ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Contains(t, w.Body.String(), says)
			require.NotContains(t, w.Body.String(), "No receivers.")
			require.Equal(t, target == "/", strings.Contains(w.Body.String(), `http-equiv="refresh"`))
		}
		require.Equal(t, 15*time.Second, time.Since(started))

		// A browser that is gone ends the call.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		metrics.NewHandler(s).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		require.Equal(t, 15*time.Second, time.Since(started))

		silent = false
		require.Equal(t, []float64{1}, values(t, registry, "memstreamer_up"))
		require.Equal(t, get(t, busy, "/"), get(t, s, "/"))
	})
}

func TestRefused(t *testing.T) {
	for says, args := range map[string]struct {
		streamer metrics.Streamer
		opts     []metrics.Option
	}{
		"streamer is nil": {},
		"a string has neither Stats() memstreamer.Stats nor Stats(context.Context) (memstreamer.Stats, error)": {streamer: "streamer"},
		"option 2 of 2 is nil":            {busy, []metrics.Option{metrics.WithoutReceiverLabel(), nil}},
		"WithClock was given a nil clock": {busy, []metrics.Option{metrics.WithClock(nil)}},
	} {
		require.PanicsWithValue(t, "metrics: NewCollector: "+says, func() { metrics.NewCollector(args.streamer, args.opts...) })
		require.PanicsWithValue(t, "metrics: NewHandler: "+says, func() { metrics.NewHandler(args.streamer, args.opts...) })
	}
}
