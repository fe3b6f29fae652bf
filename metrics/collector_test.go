package metrics_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
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

// scrape returns the samples of these metrics or, without names, of all.
func scrape(t testing.TB, g prometheus.Gatherer, names ...string) string {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	var text strings.Builder
	for _, family := range families {
		if len(names) == 0 || slices.Contains(names, family.GetName()) {
			_, err := expfmt.MetricFamilyToText(&text, family)
			require.NoError(t, err)
		}
	}
	var samples strings.Builder
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, "#") {
			samples.WriteString(line)
		}
	}
	return samples.String()
}

func collector(s metrics.Streamer, opts ...metrics.Option) prometheus.Collector {
	return metrics.NewCollector(s, append(opts, metrics.WithClock(stopped(now)))...)
}

func TestCollector(t *testing.T) {
	require.NoError(t, testutil.GatherAndCompare(register(collector(busy)), strings.NewReader(`
# HELP memstreamer_events_total Events sent, on all topics.
# TYPE memstreamer_events_total counter
memstreamer_events_total 1000005
# HELP memstreamer_sent_events_total Events sent to the topic.
# TYPE memstreamer_sent_events_total counter
memstreamer_sent_events_total{topic="mail"} 6
memstreamer_sent_events_total{topic="orders"} 1234567
memstreamer_sent_events_total{topic="quiet"} 0
# HELP memstreamer_retained_events Events of the topic that are kept.
# TYPE memstreamer_retained_events gauge
memstreamer_retained_events{topic="mail"} 1
memstreamer_retained_events{topic="orders"} 4
memstreamer_retained_events{topic="quiet"} 0
# HELP memstreamer_acked_events_total Events acked.
# TYPE memstreamer_acked_events_total counter
memstreamer_acked_events_total{receiver="archive",topic="quiet"} 0
memstreamer_acked_events_total{receiver="billing",topic="orders"} 1
memstreamer_acked_events_total{receiver="printer",topic="mail"} 6
memstreamer_acked_events_total{receiver="run 17",topic="orders"} 0
memstreamer_acked_events_total{receiver="shipping",topic="orders"} 3
# HELP memstreamer_lag_events Events kept and not acked.
# TYPE memstreamer_lag_events gauge
memstreamer_lag_events{receiver="archive",topic="quiet"} 0
memstreamer_lag_events{receiver="billing",topic="orders"} 3
memstreamer_lag_events{receiver="printer",topic="mail"} 0
memstreamer_lag_events{receiver="run 17",topic="orders"} 4
memstreamer_lag_events{receiver="shipping",topic="orders"} 1
# HELP memstreamer_oldest_unacked_seconds Age of the oldest event kept and not acked. 0 where nothing waits.
# TYPE memstreamer_oldest_unacked_seconds gauge
memstreamer_oldest_unacked_seconds{receiver="archive",topic="quiet"} 0
memstreamer_oldest_unacked_seconds{receiver="billing",topic="orders"} 90.123456
memstreamer_oldest_unacked_seconds{receiver="printer",topic="mail"} 0
memstreamer_oldest_unacked_seconds{receiver="run 17",topic="orders"} 91
memstreamer_oldest_unacked_seconds{receiver="shipping",topic="orders"} 5
# HELP memstreamer_deliveries How often Recv has returned the oldest event not acked.
# TYPE memstreamer_deliveries gauge
memstreamer_deliveries{receiver="archive",topic="quiet"} 0
memstreamer_deliveries{receiver="billing",topic="orders"} 12
memstreamer_deliveries{receiver="printer",topic="mail"} 0
memstreamer_deliveries{receiver="run 17",topic="orders"} 0
memstreamer_deliveries{receiver="shipping",topic="orders"} 1
# HELP memstreamer_open_receivers Receivers that are open.
# TYPE memstreamer_open_receivers gauge
memstreamer_open_receivers{receiver="archive",topic="quiet"} 1
memstreamer_open_receivers{receiver="billing",topic="orders"} 2
memstreamer_open_receivers{receiver="printer",topic="mail"} 1
memstreamer_open_receivers{receiver="run 17",topic="orders"} 0
memstreamer_open_receivers{receiver="shipping",topic="orders"} 1
# HELP memstreamer_parked_receivers Calls of Recv that wait for an event.
# TYPE memstreamer_parked_receivers gauge
memstreamer_parked_receivers{receiver="archive",topic="quiet"} 0
memstreamer_parked_receivers{receiver="billing",topic="orders"} 0
memstreamer_parked_receivers{receiver="printer",topic="mail"} 1
memstreamer_parked_receivers{receiver="run 17",topic="orders"} 0
memstreamer_parked_receivers{receiver="shipping",topic="orders"} 0
`)))
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
			// A name that was used once is not.
			{Topic: "orders", Name: "run 17", Lag: 4, OldestUnacked: now.Add(-40 * time.Second), Acked: 5},
		},
	}
	require.NoError(t, testutil.GatherAndCompare(register(collector(s, metrics.WithoutReceiverLabel())), strings.NewReader(`
# HELP memstreamer_events_total Events sent, on all topics.
# TYPE memstreamer_events_total counter
memstreamer_events_total 0
# HELP memstreamer_sent_events_total Events sent to the topic.
# TYPE memstreamer_sent_events_total counter
memstreamer_sent_events_total{topic="mail"} 9
memstreamer_sent_events_total{topic="orders"} 9
memstreamer_sent_events_total{topic="silent"} 9
memstreamer_sent_events_total{topic="unread"} 9
# HELP memstreamer_retained_events Events of the topic that are kept.
# TYPE memstreamer_retained_events gauge
memstreamer_retained_events{topic="mail"} 0
memstreamer_retained_events{topic="orders"} 0
memstreamer_retained_events{topic="silent"} 0
memstreamer_retained_events{topic="unread"} 0
# HELP memstreamer_lag_events Events kept and not acked, the largest of the topic's names in use.
# TYPE memstreamer_lag_events gauge
memstreamer_lag_events{topic="mail"} 2
memstreamer_lag_events{topic="orders"} 3
memstreamer_lag_events{topic="silent"} 0
memstreamer_lag_events{topic="unread"} 7
# HELP memstreamer_oldest_unacked_seconds Age of the oldest event kept and not acked, the largest of the topic's names in use. 0 where nothing waits.
# TYPE memstreamer_oldest_unacked_seconds gauge
memstreamer_oldest_unacked_seconds{topic="mail"} 20
memstreamer_oldest_unacked_seconds{topic="orders"} 30
memstreamer_oldest_unacked_seconds{topic="silent"} 0
memstreamer_oldest_unacked_seconds{topic="unread"} 50
# HELP memstreamer_deliveries How often Recv has returned the oldest event not acked, the largest of the topic's names in use.
# TYPE memstreamer_deliveries gauge
memstreamer_deliveries{topic="mail"} 3
memstreamer_deliveries{topic="orders"} 4
memstreamer_deliveries{topic="silent"} 0
memstreamer_deliveries{topic="unread"} 0
# HELP memstreamer_open_receivers Receivers that are open.
# TYPE memstreamer_open_receivers gauge
memstreamer_open_receivers{topic="mail"} 0
memstreamer_open_receivers{topic="orders"} 3
memstreamer_open_receivers{topic="silent"} 0
memstreamer_open_receivers{topic="unread"} 1
# HELP memstreamer_parked_receivers Calls of Recv that wait for an event.
# TYPE memstreamer_parked_receivers gauge
memstreamer_parked_receivers{topic="mail"} 0
memstreamer_parked_receivers{topic="orders"} 1
memstreamer_parked_receivers{topic="silent"} 0
memstreamer_parked_receivers{topic="unread"} 0
`)))
}

func TestAges(t *testing.T) {
	for name, test := range map[string]struct {
		lag    int64
		oldest time.Time
		want   string
	}{
		"nothing waits":               {0, time.Time{}, "0"},
		"waits":                       {1, now.Add(-1500 * time.Millisecond), "1.5"},
		"from the clock's future":     {1, now.Add(time.Second), "0"},
		"a CreatedAt of zero":         {1, time.Time{}, "0"},
		"a CreatedAt in another zone": {1, now.Add(-time.Hour).In(time.FixedZone("", 3600)), "3600"},
	} {
		t.Run(name, func(t *testing.T) {
			s := snapshot{Receivers: []memstreamer.ReceiverStats{{Topic: "orders", Name: "billing", Lag: test.lag, OldestUnacked: test.oldest}}}
			require.Equal(t, `memstreamer_oldest_unacked_seconds{receiver="billing",topic="orders"} `+test.want+"\n",
				scrape(t, register(collector(s)), "memstreamer_oldest_unacked_seconds"))
		})
	}
}

// The default clock is the wall clock, read after the snapshot.
func TestAgesByTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		created := time.Now()
		s := streamerFunc(func() memstreamer.Stats {
			time.Sleep(2 * time.Second)
			return memstreamer.Stats{Receivers: []memstreamer.ReceiverStats{{Topic: "orders", Name: "billing", Lag: 1, OldestUnacked: created}}}
		})
		require.Equal(t, `memstreamer_oldest_unacked_seconds{receiver="billing",topic="orders"} 2`+"\n",
			scrape(t, register(metrics.NewCollector(s)), "memstreamer_oldest_unacked_seconds"))
	})
}

// streamerFunc is a Streamer whose Stats it is.
type streamerFunc func() memstreamer.Stats

func (f streamerFunc) Stats() memstreamer.Stats { return f() }

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
	registry := register(collector(streamerFunc(func() memstreamer.Stats { return stats })))
	total := func() string { return scrape(t, registry, "memstreamer_events_total") }
	require.Equal(t, "memstreamer_events_total 0\n", total())
	stats.Topics = []memstreamer.TopicStats{{Topic: "mail", LastID: 2}, {Topic: "orders", LastID: 3}, {Topic: "quiet"}}
	require.Equal(t, "memstreamer_events_total 3\n", total())
	stats.Receivers = []memstreamer.ReceiverStats{{Topic: "orders", Name: "billing", AckedID: 5}, {Topic: "orders", Name: "pick"}}
	require.Equal(t, "memstreamer_events_total 5\n", total())
	stats = memstreamer.Stats{}
	require.Equal(t, "memstreamer_events_total 5\n", total())
	stats.Topics = []memstreamer.TopicStats{{Topic: "orders", LastID: 6}}
	require.Equal(t, "memstreamer_events_total 6\n", total())
}

// Collections overlap, as those of two registries may: none shows a lower count
// than one that ended before it began.
func TestEventsTotalOnlyGoesUp(t *testing.T) {
	var newest atomic.Int64
	c := metrics.NewCollector(streamerFunc(func() memstreamer.Stats {
		id := newest.Add(1)
		if id%2 == 0 {
			return memstreamer.Stats{} // retention has dropped all of it
		}
		return memstreamer.Stats{Topics: []memstreamer.TopicStats{{Topic: "orders", LastID: id}}}
	}))
	var scraping sync.WaitGroup
	for range 2 {
		registry := register(c)
		scraping.Go(func() {
			var last float64
			for range 500 {
				families, err := registry.Gather()
				if !assert.NoError(t, err) {
					return
				}
				for _, family := range families {
					if family.GetName() == "memstreamer_events_total" {
						total := family.GetMetric()[0].GetCounter().GetValue()
						assert.GreaterOrEqual(t, total, last)
						last = total
					}
				}
			}
			assert.GreaterOrEqual(t, last, 499.0)
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
	require.Equal(t, strings.Join([]string{
		`memstreamer_acked_events_total{receiver="\\xf0(",topic="a\\xff"} 21`,
		`memstreamer_acked_events_total{receiver="naïve 世界 \"quoted\"\n",topic="a\\xff"} 0`,
		`memstreamer_deliveries{receiver="\\xf0(",topic="a\\xff"} 7`,
		`memstreamer_deliveries{receiver="naïve 世界 \"quoted\"\n",topic="a\\xff"} 0`,
		`memstreamer_events_total 0`,
		`memstreamer_lag_events{receiver="\\xf0(",topic="a\\xff"} 2`,
		`memstreamer_lag_events{receiver="naïve 世界 \"quoted\"\n",topic="a\\xff"} 3`,
		`memstreamer_oldest_unacked_seconds{receiver="\\xf0(",topic="a\\xff"} 30`,
		`memstreamer_oldest_unacked_seconds{receiver="naïve 世界 \"quoted\"\n",topic="a\\xff"} 0`,
		`memstreamer_open_receivers{receiver="\\xf0(",topic="a\\xff"} 2`,
		`memstreamer_open_receivers{receiver="naïve 世界 \"quoted\"\n",topic="a\\xff"} 1`,
		`memstreamer_parked_receivers{receiver="\\xf0(",topic="a\\xff"} 1`,
		`memstreamer_parked_receivers{receiver="naïve 世界 \"quoted\"\n",topic="a\\xff"} 0`,
		`memstreamer_retained_events{topic="a\\xff"} 4`,
		`memstreamer_sent_events_total{topic="a\\xff"} 11`,
	}, "\n")+"\n", scrape(t, register(collector(s))))
}

func TestTwoStreamersInOneRegistry(t *testing.T) {
	registry := register()
	for name, s := range map[string]metrics.Streamer{
		"orders": snapshot{Topics: []memstreamer.TopicStats{{Topic: "placed", Sent: 2}}},
		"mail":   snapshot{Topics: []memstreamer.TopicStats{{Topic: "placed", Sent: 1}}},
	} {
		prometheus.WrapRegistererWith(prometheus.Labels{"streamer": name}, registry).MustRegister(metrics.NewCollector(s))
	}
	require.Equal(t, `memstreamer_sent_events_total{streamer="mail",topic="placed"} 1
memstreamer_sent_events_total{streamer="orders",topic="placed"} 2
`, scrape(t, registry, "memstreamer_sent_events_total"))
}

func TestNewCollectorRefusesNil(t *testing.T) {
	require.PanicsWithValue(t, "metrics: NewCollector: streamer is nil", func() { metrics.NewCollector(nil) })
	require.PanicsWithValue(t, "metrics: NewCollector: option 2 of 2 is nil", func() {
		metrics.NewCollector(busy, metrics.WithoutReceiverLabel(), nil)
	})
	require.PanicsWithValue(t, "metrics: NewCollector: WithClock was given a nil clock", func() {
		metrics.NewCollector(busy, metrics.WithClock(nil))
	})
}

func BenchmarkCollect(b *testing.B) {
	for _, bench := range []struct {
		name string
		opts []metrics.Option
	}{
		{"10000 receivers", nil},
		{"10000 receivers without label", []metrics.Option{metrics.WithoutReceiverLabel()}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			registry := prometheus.NewRegistry()
			registry.MustRegister(metrics.NewCollector(many(10_000), bench.opts...))
			for b.Loop() {
				_, err := registry.Gather()
				require.NoError(b, err)
			}
		})
	}
}
