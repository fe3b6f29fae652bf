package metrics_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/metrics"
)

// register returns a registry that checks what it collects against what the
// collectors describe.
func register(collectors ...prometheus.Collector) *prometheus.Registry {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collectors...)
	return registry
}

// values returns what a metric shows, by series.
func values(t testing.TB, g prometheus.Gatherer, name string) (values []float64) {
	t.Helper()
	families, err := g.Gather()
	assert.NoError(t, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name {
				values = append(values, valueOf(metric))
			}
		}
	}
	return values
}

func valueOf(m *dto.Metric) float64 { return m.GetCounter().GetValue() + m.GetGauge().GetValue() }

// requireSeries asserts that there are these series and no others. One is written
// as its labels, the topic first, and its figures, by the names of their metrics.
func requireSeries(t *testing.T, g prometheus.Gatherer, want ...string) {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	figures := make(map[string]string) // by labels
	for _, family := range families {
		name := strings.TrimPrefix(family.GetName(), "memstreamer_")
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range slices.Backward(metric.GetLabel()) {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			key := strings.Join(labels, " ")
			figures[key] += ", " + name + " " + strconv.FormatFloat(valueOf(metric), 'f', -1, 64)
		}
	}
	var got []string
	for _, key := range slices.Sorted(maps.Keys(figures)) {
		got = append(got, key+":"+strings.TrimPrefix(figures[key], ","))
	}
	require.Equal(t, want, got)
}

func collector(s metrics.Streamer, opts ...metrics.Option) prometheus.Collector {
	return metrics.NewCollector(s, append(opts, metrics.WithClock(stopped(now)))...)
}

func TestCollector(t *testing.T) {
	requireSeries(t, register(collector(busy)),
		": events_total 1000005, up 1",
		"topic=mail: retained_events 1, sent_events_total 6",
		"topic=mail receiver=printer: acked_events_total 6, deliveries 0, lag_events 0, oldest_unacked_seconds 0, open_receivers 1, parked_receivers 1",
		"topic=orders: retained_events 4, sent_events_total 1234567",
		"topic=orders receiver=billing: acked_events_total 1, deliveries 12, lag_events 3, oldest_unacked_seconds 90.123456, open_receivers 2, parked_receivers 0",
		"topic=orders receiver=run 17: acked_events_total 0, deliveries 0, lag_events 4, oldest_unacked_seconds 91, open_receivers 0, parked_receivers 0",
		"topic=orders receiver=shipping: deliveries 1, lag_events 1, oldest_unacked_seconds 5, open_receivers 1, parked_receivers 0",
		"topic=quiet: retained_events 0, sent_events_total 0",
		"topic=quiet receiver=archive: acked_events_total 0, deliveries 0, lag_events 0, oldest_unacked_seconds 0, open_receivers 1, parked_receivers 0",
	)
}

func TestCollectorWithoutReceiverLabel(t *testing.T) {
	s := snapshot{
		Topics: []memstreamer.TopicStats{{Topic: "mail", Sent: 9}, {Topic: "orders", Sent: 9}, {Topic: "silent", Sent: 9}, {Topic: "unread", Sent: 9}},
		Receivers: []memstreamer.ReceiverStats{
			// A step between two attempts is in use.
			{Topic: "mail", Name: "printer", Lag: 2, OldestUnacked: now.Add(-20 * time.Second), Deliveries: 3},
			{Topic: "orders", Name: "billing", Open: 2, Lag: 3, OldestUnacked: now.Add(-30 * time.Second), Deliveries: 1, Acked: 6},
			{Topic: "orders", Name: "pick", Open: 1, Parked: 1, Lag: 1, OldestUnacked: now.Add(-10 * time.Second), Deliveries: 4, Acked: 8},
			// So is one that has just opened its receiver.
			{Topic: "unread", Name: "report", Open: 1, Lag: 7, OldestUnacked: now.Add(-50 * time.Second)},
			// A consumer that nobody uses is not.
			{Topic: "orders", Name: "run 17", Lag: 4, OldestUnacked: now.Add(-40 * time.Second), Acked: 5},
		},
	}
	requireSeries(t, register(collector(s, metrics.WithoutReceiverLabel())),
		": events_total 0, up 1",
		"topic=mail: deliveries 3, lag_events 2, oldest_unacked_seconds 20, open_receivers 0, parked_receivers 0, retained_events 0, sent_events_total 9",
		"topic=orders: deliveries 4, lag_events 3, oldest_unacked_seconds 30, open_receivers 3, parked_receivers 1, retained_events 0, sent_events_total 9",
		"topic=silent: deliveries 0, lag_events 0, oldest_unacked_seconds 0, open_receivers 0, parked_receivers 0, retained_events 0, sent_events_total 9",
		"topic=unread: deliveries 0, lag_events 7, oldest_unacked_seconds 50, open_receivers 1, parked_receivers 0, retained_events 0, sent_events_total 9",
	)
}

// The default clock is the wall clock, read after the snapshot.
func TestAgesByTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		created := time.Now()
		s := remote(func(context.Context) (memstreamer.Stats, error) {
			time.Sleep(2 * time.Second)
			return memstreamer.Stats{Receivers: []memstreamer.ReceiverStats{{Topic: "orders", Name: "billing", Lag: 1, OldestUnacked: created}}}, nil
		})
		require.Equal(t, []float64{2}, values(t, register(metrics.NewCollector(s)), "memstreamer_oldest_unacked_seconds"))
	})
}

func TestCollectorPassesTheLinter(t *testing.T) {
	for name, c := range map[string]prometheus.Collector{
		"with all labels":            metrics.NewCollector(busy),
		"without the receiver label": metrics.NewCollector(busy, metrics.WithoutReceiverLabel()),
	} {
		t.Run(name, func(t *testing.T) {
			problems, err := testutil.CollectAndLint(c)
			require.NoError(t, err)
			require.Empty(t, problems)
		})
	}
}

// The count of all events goes on when events, names and topics are dropped. It
// counts an event that was sent, acked and dropped between two collections.
func TestEventsTotalOutlivesRetention(t *testing.T) {
	var stats memstreamer.Stats
	registry := register(collector(remote(func(context.Context) (memstreamer.Stats, error) { return stats, nil })))
	total := func() []float64 { return values(t, registry, "memstreamer_events_total") }
	require.Equal(t, []float64{0}, total())
	stats.Topics = []memstreamer.TopicStats{{Topic: "mail", LastID: 2}, {Topic: "orders", LastID: 3}, {Topic: "quiet"}}
	require.Equal(t, []float64{3}, total())
	stats.Receivers = []memstreamer.ReceiverStats{{Topic: "orders", Name: "billing", AckedID: 5}, {Topic: "orders", Name: "pick"}}
	require.Equal(t, []float64{5}, total())
	stats = memstreamer.Stats{}
	require.Equal(t, []float64{5}, total())
	stats.Topics = []memstreamer.TopicStats{{Topic: "orders", LastID: 6}}
	require.Equal(t, []float64{6}, total())
}

// Collections overlap, as those of two registries may: none shows a lower count
// than one that ended before it began.
func TestEventsTotalOnlyGoesUp(t *testing.T) {
	var newest atomic.Int64
	c := collector(remote(func(context.Context) (stats memstreamer.Stats, _ error) {
		if id := newest.Add(1); id%2 == 1 { // retention has dropped all of the others
			stats.Topics = []memstreamer.TopicStats{{Topic: "orders", LastID: id}}
		}
		return stats, nil
	}))
	var scraping sync.WaitGroup
	for range 2 {
		registry := register(c)
		scraping.Go(func() {
			last := []float64{0}
			for range 500 {
				total := values(t, registry, "memstreamer_events_total")
				assert.GreaterOrEqual(t, slices.Compare(total, last), 0)
				last = total
			}
			assert.GreaterOrEqual(t, last[0], 499.0)
		})
	}
	scraping.Wait()
}

// Any bytes are a topic and a name to a streamer. Prometheus takes only UTF-8.
func TestCollectorWithNamesThatAreNotUTF8(t *testing.T) {
	seconds := func(n int) time.Time { return now.Add(-time.Duration(n) * time.Second) }
	s := snapshot{
		Topics: []memstreamer.TopicStats{{Topic: "a\xff", Retained: 3, Sent: 5}, {Topic: `a\xff`, Retained: 1, Sent: 6}},
		Receivers: []memstreamer.ReceiverStats{
			{Topic: "a\xff", Name: "\xf0\x28", Open: 1, Lag: 2, OldestUnacked: seconds(20), Deliveries: 7, Acked: 10},
			{Topic: "a\xff", Name: "naïve 世界 \"quoted\"\n", Open: 1, Lag: 3},
			{Topic: `a\xff`, Name: `\xf0(`, Open: 1, Parked: 1, Lag: 1, OldestUnacked: seconds(30), Deliveries: 6, Acked: 11},
		},
	}
	requireSeries(t, register(collector(s)),
		": events_total 0, up 1",
		`topic=a\xff: retained_events 4, sent_events_total 11`,
		`topic=a\xff receiver=\xf0(: acked_events_total 21, deliveries 7, lag_events 2, oldest_unacked_seconds 30, open_receivers 2, parked_receivers 1`,
		"topic=a\\xff receiver=naïve 世界 \"quoted\"\n: acked_events_total 0, deliveries 0, lag_events 3, oldest_unacked_seconds 0, open_receivers 1, parked_receivers 0",
	)
}
