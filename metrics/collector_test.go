package metrics_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
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

// busy is a streamer with something of everything: a receiver that is parked,
// one that is behind, a name that nobody has open, and a topic without events.
func busy(t testing.TB) *memstreamer.StreamConstructor {
	s := memstreamer.New()
	send(t, s, "orders", 4)
	send(t, s, "mail", 1)
	ack(t, open(t, s, "orders", "billing"), 1)
	open(t, s, "orders", "billing")
	require.NoError(t, open(t, s, "orders", "run 17").Close())
	parked := open(t, s, "mail", "printer")
	ack(t, parked, 1)
	park(t, s, parked)
	open(t, s, "quiet", "archive")
	return s
}

func TestCollector(t *testing.T) {
	require.NoError(t, testutil.GatherAndCompare(register(metrics.NewCollector(busy(t))), strings.NewReader(`
# HELP memstreamer_events_total Events sent, on all topics.
# TYPE memstreamer_events_total counter
memstreamer_events_total 5
# HELP memstreamer_newest_id_total ID of the newest event of the topic. IDs count the events of all topics.
# TYPE memstreamer_newest_id_total counter
memstreamer_newest_id_total{topic="mail"} 5
memstreamer_newest_id_total{topic="orders"} 4
# HELP memstreamer_retained_events Events of the topic that are kept.
# TYPE memstreamer_retained_events gauge
memstreamer_retained_events{topic="mail"} 1
memstreamer_retained_events{topic="orders"} 4
memstreamer_retained_events{topic="quiet"} 0
# HELP memstreamer_lag_events Events kept and not acked.
# TYPE memstreamer_lag_events gauge
memstreamer_lag_events{receiver="archive",topic="quiet"} 0
memstreamer_lag_events{receiver="billing",topic="orders"} 3
memstreamer_lag_events{receiver="printer",topic="mail"} 0
memstreamer_lag_events{receiver="run 17",topic="orders"} 4
# HELP memstreamer_open_receivers Receivers that are open.
# TYPE memstreamer_open_receivers gauge
memstreamer_open_receivers{receiver="archive",topic="quiet"} 1
memstreamer_open_receivers{receiver="billing",topic="orders"} 2
memstreamer_open_receivers{receiver="printer",topic="mail"} 1
memstreamer_open_receivers{receiver="run 17",topic="orders"} 0
# HELP memstreamer_parked_receivers Calls of Recv that wait for an event.
# TYPE memstreamer_parked_receivers gauge
memstreamer_parked_receivers{receiver="archive",topic="quiet"} 0
memstreamer_parked_receivers{receiver="billing",topic="orders"} 0
memstreamer_parked_receivers{receiver="printer",topic="mail"} 1
memstreamer_parked_receivers{receiver="run 17",topic="orders"} 0
`)))
}

func TestCollectorWithoutReceiverLabel(t *testing.T) {
	s := busy(t)
	ack(t, open(t, s, "orders", "shipping"), 2)
	send(t, s, "unread", 1)
	require.NoError(t, testutil.GatherAndCompare(register(metrics.NewCollector(s, metrics.WithoutReceiverLabel())), strings.NewReader(`
# HELP memstreamer_lag_events Events kept and not acked, of the open receiver of the topic that is furthest behind.
# TYPE memstreamer_lag_events gauge
memstreamer_lag_events{topic="mail"} 0
memstreamer_lag_events{topic="orders"} 3
memstreamer_lag_events{topic="quiet"} 0
memstreamer_lag_events{topic="unread"} 0
# HELP memstreamer_open_receivers Receivers that are open.
# TYPE memstreamer_open_receivers gauge
memstreamer_open_receivers{topic="mail"} 1
memstreamer_open_receivers{topic="orders"} 3
memstreamer_open_receivers{topic="quiet"} 1
memstreamer_open_receivers{topic="unread"} 0
# HELP memstreamer_parked_receivers Calls of Recv that wait for an event.
# TYPE memstreamer_parked_receivers gauge
memstreamer_parked_receivers{topic="mail"} 1
memstreamer_parked_receivers{topic="orders"} 0
memstreamer_parked_receivers{topic="quiet"} 0
memstreamer_parked_receivers{topic="unread"} 0
`), "memstreamer_lag_events", "memstreamer_open_receivers", "memstreamer_parked_receivers"))
}

func TestCollectorPassesTheLinter(t *testing.T) {
	s := busy(t)
	for name, c := range map[string]prometheus.Collector{
		"with all labels":            metrics.NewCollector(s),
		"without the receiver label": metrics.NewCollector(s, metrics.WithoutReceiverLabel()),
	} {
		t.Run(name, func(t *testing.T) {
			problems, err := testutil.CollectAndLint(c)
			require.NoError(t, err)
			require.Empty(t, problems)
		})
	}
}

// Retention takes the newest event and then the topic, and neither makes a
// counter go down.
func TestCountersOutliveRetention(t *testing.T) {
	c := newClock()
	s := memstreamer.New(memstreamer.WithClock(c), memstreamer.WithRetention(time.Hour))
	registry := register(metrics.NewCollector(s))
	const newest, events, retained = "memstreamer_newest_id_total", "memstreamer_events_total", "memstreamer_retained_events"
	require.Equal(t, "memstreamer_events_total 0\n", scrape(t, registry))

	sender, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	require.Empty(t, scrape(t, registry, newest), "no event yet")
	send(t, s, "orders", 3)
	require.Equal(t, `memstreamer_newest_id_total{topic="orders"} 3`+"\n", scrape(t, registry, newest))

	sweep := func() {
		c.advance(2 * time.Hour)
		require.NoError(t, open(t, s, "sweep", "sweep").Close())
	}
	sweep()
	require.Zero(t, s.Stats().Topics[0].LastID, "the newest event was dropped")
	require.Equal(t, `memstreamer_events_total 3
memstreamer_newest_id_total{topic="orders"} 3
memstreamer_retained_events{topic="orders"} 0
memstreamer_retained_events{topic="sweep"} 0
`, scrape(t, registry, newest, events, retained))

	require.NoError(t, sender.Close())
	require.Equal(t, "memstreamer_events_total 3\n", scrape(t, registry, newest, events), "the topic was forgotten")
	sender, err = s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	require.Equal(t, "memstreamer_events_total 3\n", scrape(t, registry, newest, events), "the topic is a new one")
	require.NoError(t, sender.Close())
	send(t, s, "orders", 1)
	require.Equal(t, `memstreamer_events_total 4
memstreamer_newest_id_total{topic="orders"} 4
`, scrape(t, registry, newest, events))

	receiver := open(t, s, "orders", "billing")
	send(t, s, "orders", 2)
	ack(t, receiver, 3)
	sweep()
	require.Equal(t, `memstreamer_events_total 6
memstreamer_newest_id_total{topic="orders"} 6
`, scrape(t, registry, newest, events), "sent, acked and dropped between two scrapes")
}

// Collections that overlap, as those of two registries may, and traffic beside
// them: no collection shows a counter lower than one that ended before.
func TestCountersOnlyGoUp(t *testing.T) {
	s := memstreamer.New(memstreamer.WithRetention(time.Nanosecond))
	collector := metrics.NewCollector(s)
	_, err := s.NewSender(t.Context(), "orders") // keeps that topic, but not the other
	require.NoError(t, err)
	var sending, scraping sync.WaitGroup
	stop := make(chan struct{})
	sending.Go(func() {
		for {
			for _, topic := range []string{"orders", "mail"} {
				sender, err := s.NewSender(t.Context(), topic)
				if !assert.NoError(t, err) {
					return
				}
				assert.NoError(t, sender.Send(t.Context(), "order", 1, nil))
				// This drops the event, and the topic where nothing else keeps it.
				assert.NoError(t, sender.Close())
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	deadline := time.Now().Add(10 * time.Second)
	for range 2 {
		registry := register(collector)
		scraping.Go(func() {
			last := map[string]float64{}
			for n := 0; n < 200 || len(last) < 3 && time.Now().Before(deadline); n++ {
				families, err := registry.Gather()
				assert.NoError(t, err)
				for _, family := range families {
					for _, metric := range family.GetMetric() {
						if metric.GetCounter() == nil {
							continue
						}
						series := fmt.Sprint(family.GetName(), metric.GetLabel())
						value := metric.GetCounter().GetValue()
						if !assert.GreaterOrEqual(t, value, last[series], series) {
							return
						}
						last[series] = value
					}
				}
			}
			assert.Len(t, last, 3, "not each counter was seen: %v", last)
		})
	}
	scraping.Wait()
	close(stop)
	sending.Wait()
}

// Any bytes are a topic and a name to a streamer. Prometheus takes UTF-8 alone.
func TestCollectorWithNamesThatAreNotUTF8(t *testing.T) {
	s := memstreamer.New()
	send(t, s, "a\xff", 3)
	send(t, s, `a\xff`, 1)
	ack(t, open(t, s, "a\xff", "\xf0\x28"), 1)
	open(t, s, `a\xff`, `\xf0(`)
	open(t, s, "a\xff", "naïve 世界 \"quoted\"\n")
	require.Equal(t, strings.Join([]string{
		`memstreamer_events_total 4`,
		`memstreamer_lag_events{receiver="\\xf0(",topic="a\\xff"} 2`,
		`memstreamer_lag_events{receiver="naïve 世界 \"quoted\"\n",topic="a\\xff"} 3`,
		`memstreamer_newest_id_total{topic="a\\xff"} 4`,
		`memstreamer_open_receivers{receiver="\\xf0(",topic="a\\xff"} 2`,
		`memstreamer_open_receivers{receiver="naïve 世界 \"quoted\"\n",topic="a\\xff"} 1`,
		`memstreamer_parked_receivers{receiver="\\xf0(",topic="a\\xff"} 0`,
		`memstreamer_parked_receivers{receiver="naïve 世界 \"quoted\"\n",topic="a\\xff"} 0`,
		`memstreamer_retained_events{topic="a\\xff"} 4`,
	}, "\n")+"\n", scrape(t, register(metrics.NewCollector(s))))
}

func TestTwoStreamersInOneRegistry(t *testing.T) {
	orders, mail := memstreamer.New(), memstreamer.New()
	send(t, orders, "placed", 2)
	send(t, mail, "placed", 1)
	registry := register()
	for name, s := range map[string]*memstreamer.StreamConstructor{"orders": orders, "mail": mail} {
		prometheus.WrapRegistererWith(prometheus.Labels{"streamer": name}, registry).MustRegister(metrics.NewCollector(s))
	}
	require.Equal(t, `memstreamer_retained_events{streamer="mail",topic="placed"} 1
memstreamer_retained_events{streamer="orders",topic="placed"} 2
`, scrape(t, registry, "memstreamer_retained_events"))
}

func TestNewCollectorRefusesNil(t *testing.T) {
	require.PanicsWithValue(t, "metrics: NewCollector: streamer is nil", func() { metrics.NewCollector(nil) })
	require.PanicsWithValue(t, "metrics: NewCollector: option 2 of 2 is nil", func() {
		metrics.NewCollector(memstreamer.New(), metrics.WithoutReceiverLabel(), nil)
	})
}

func BenchmarkCollect(b *testing.B) {
	s := memstreamer.New()
	for i := range 10_000 {
		open(b, s, "orders", strconv.Itoa(i))
	}
	send(b, s, "orders", 1)
	for _, bench := range []struct {
		name string
		opts []metrics.Option
	}{
		{"10000 receivers", nil},
		{"10000 receivers without label", []metrics.Option{metrics.WithoutReceiverLabel()}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			registry := prometheus.NewRegistry()
			registry.MustRegister(metrics.NewCollector(s, bench.opts...))
			for b.Loop() {
				_, err := registry.Gather()
				require.NoError(b, err)
			}
		})
	}
}
