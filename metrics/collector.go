package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/memstreamer/memstreamer"
)

// NewCollector returns a collector of these metrics of a streamer:
//
//	memstreamer_up                     gauge    1, or 0 if Stats has failed
//	memstreamer_events_total           counter  events sent, on all topics
//	memstreamer_sent_events_total      counter  events sent to the topic
//	memstreamer_retained_events        gauge    events of the topic that are kept
//	memstreamer_acked_events_total     counter  events acked
//	memstreamer_lag_events             gauge    events kept and not acked
//	memstreamer_oldest_unacked_seconds gauge    age of the oldest of them
//	memstreamer_deliveries             gauge    how often Recv has returned that event
//	memstreamer_open_receivers         gauge    receivers that are open
//	memstreamer_parked_receivers       gauge    calls of Recv that wait for an event
//
// The first two have no label, the next two have the label topic, and the others have
// the labels topic and receiver, the receiver's name. Each collection takes one
// snapshot, so that its figures agree with each other.
//
// If Stats fails, or takes a context and more than 5 seconds, a collection has
// memstreamer_up alone, and the other metrics of the registry are collected as usual.
// The page of [NewHandler] says what is wrong.
//
// Several consumers may have one topic and name, since each [memstreamer.Ephemeral]
// receiver is a consumer by itself. They share one series: its lag, age and
// deliveries are each the largest of theirs, and open and parked receivers are
// sums. memstreamer_acked_events_total leaves out ephemeral receivers, because a sum
// would fall when one is closed; a name that only they have is not in it.
//
// memstreamer_events_total is the largest ID that a collection has seen, since IDs count
// the events of all topics. It does not fall when a topic is forgotten. An event that was
// sent and dropped between two collections is counted once a larger ID is seen.
//
// The other counters start at 0 when their topic or consumer is made, also after it was
// forgotten. Prometheus takes that for a restart, which rate and increase allow for.
//
// Ages are the time from an event's CreatedAt to the collector's clock, see
// [WithClock]. An age is 0 if nothing waits, if CreatedAt is the zero time, as in a
// [memstreamer.Connector], or if it is in the clock's future.
//
// Bytes of a topic or name that are not UTF-8 are spelled as \xNN. Names that
// are equal after that share a series too; acks are summed.
//
// To tell apart streamers that share a registry, give each a label:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"streamer": "orders"}, registry).
//		MustRegister(metrics.NewCollector(streamer))
//
// NewCollector panics if the streamer has no Stats, or if it, an option or a clock is nil.
func NewCollector(streamer Streamer, opts ...Option) prometheus.Collector {
	c := &collector{options: resolve("NewCollector", streamer, opts)}
	topic, receiver, largest := []string{"topic"}, []string{"topic", "receiver"}, "."
	if c.options.withoutReceiver {
		receiver, largest = topic, ", the largest of the topic's consumers in use."
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue

	c.up = prometheus.NewDesc("memstreamer_up", "1, or 0 if the streamer's Stats has failed.", nil, nil)
	c.events = prometheus.NewDesc("memstreamer_events_total", "Events sent, on all topics.", nil, nil)
	c.ofTopic = []metric[topicSeries]{
		{prometheus.NewDesc("memstreamer_sent_events_total", "Events sent to the topic.", topic, nil),
			counter, func(t topicSeries) float64 { return float64(t.sent) }},
		{prometheus.NewDesc("memstreamer_retained_events", "Events of the topic that are kept.", topic, nil),
			gauge, func(t topicSeries) float64 { return float64(t.retained) }},
	}
	c.ofReceiver = []metric[receiverSeries]{
		{prometheus.NewDesc("memstreamer_lag_events", "Events kept and not acked"+largest, receiver, nil),
			gauge, func(r receiverSeries) float64 { return float64(r.lag) }},
		{prometheus.NewDesc("memstreamer_oldest_unacked_seconds", "Age of the oldest event kept and not acked"+largest+" 0 where nothing waits.", receiver, nil),
			gauge, func(r receiverSeries) float64 { return r.age.Seconds() }},
		{prometheus.NewDesc("memstreamer_deliveries", "How often Recv has returned the oldest event not acked"+largest, receiver, nil),
			gauge, func(r receiverSeries) float64 { return float64(r.deliveries) }},
		{prometheus.NewDesc("memstreamer_open_receivers", "Receivers that are open.", receiver, nil),
			gauge, func(r receiverSeries) float64 { return float64(r.open) }},
		{prometheus.NewDesc("memstreamer_parked_receivers", "Calls of Recv that wait for an event.", receiver, nil),
			gauge, func(r receiverSeries) float64 { return float64(r.parked) }},
	}
	c.acked = metric[receiverSeries]{
		prometheus.NewDesc("memstreamer_acked_events_total", "Events acked, except by ephemeral receivers.", receiver, nil),
		counter, func(r receiverSeries) float64 { return float64(r.acked) }}
	return c
}

type collector struct {
	options    options
	up, events *prometheus.Desc
	ofTopic    []metric[topicSeries]
	ofReceiver []metric[receiverSeries]
	acked      metric[receiverSeries] // of durable consumers, with a receiver label

	mu     sync.Mutex
	lastID int64 // the largest seen
}

// metric is one figure of a series.
type metric[S any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(S) float64
}

func (m metric[S]) collect(ch chan<- prometheus.Metric, series S, labels ...string) {
	ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(series), labels...)
}

// topicSeries is what the metrics of one topic label show.
type topicSeries struct {
	sent     int64
	retained int
}

// receiverKey is the labels of a receiver; name is empty without that label.
type receiverKey struct{ topic, name string }

// receiverSeries is what the metrics of one receiverKey show.
type receiverSeries struct {
	lag, deliveries, acked int64
	age                    time.Duration
	open, parked           int
	durable                bool // one of its consumers is not ephemeral
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.up
	ch <- c.events
	for _, m := range c.ofTopic {
		ch <- m.desc
	}
	for _, m := range c.ofReceiver {
		ch <- m.desc
	}
	if !c.options.withoutReceiver {
		ch <- c.acked.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	stats, now, err := c.options.snapshot(context.Background())
	if err != nil {
		ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, 1)
	ch <- prometheus.MustNewConstMetric(c.events, prometheus.CounterValue, float64(c.largestID(stats)))
	for topic, series := range c.topics(stats) {
		for _, m := range c.ofTopic {
			m.collect(ch, series, topic)
		}
	}
	for key, series := range c.receivers(stats, now) {
		labels := []string{key.topic, key.name}
		if c.options.withoutReceiver {
			labels = labels[:1]
		}
		for _, m := range c.ofReceiver {
			m.collect(ch, series, labels...)
		}
		if series.durable && !c.options.withoutReceiver {
			c.acked.collect(ch, series, labels...)
		}
	}
}

// largestID returns the largest ID in stats or in any snapshot before it.
func (c *collector) largestID(stats memstreamer.Stats) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, topic := range stats.Topics {
		c.lastID = max(c.lastID, topic.LastID)
	}
	for _, receiver := range stats.Receivers {
		c.lastID = max(c.lastID, receiver.AckedID)
	}
	return c.lastID
}

func (c *collector) topics(stats memstreamer.Stats) map[string]topicSeries {
	topics := make(map[string]topicSeries, len(stats.Topics))
	for _, topic := range stats.Topics {
		label := validUTF8(topic.Topic)
		t := topics[label]
		t.sent += topic.Sent
		t.retained += topic.Retained
		topics[label] = t
	}
	return topics
}

func (c *collector) receivers(stats memstreamer.Stats, now time.Time) map[receiverKey]receiverSeries {
	receivers := make(map[receiverKey]receiverSeries)
	if c.options.withoutReceiver {
		// A topic without receivers shows that it has none.
		for _, topic := range stats.Topics {
			receivers[receiverKey{topic: validUTF8(topic.Topic)}] = receiverSeries{}
		}
	}
	for _, receiver := range stats.Receivers {
		key := receiverKey{validUTF8(receiver.Topic), validUTF8(receiver.Name)}
		if c.options.withoutReceiver {
			key.name = ""
		}
		r := receivers[key]
		if !receiver.Ephemeral {
			r.durable = true
			r.acked += receiver.Acked
		}
		r.open += receiver.Open
		r.parked += receiver.Parked
		if inUse(receiver) || !c.options.withoutReceiver {
			r.lag = max(r.lag, receiver.Lag)
			r.age = max(r.age, ageOf(receiver, now))
			r.deliveries = max(r.deliveries, receiver.Deliveries)
		}
		receivers[key] = r
	}
	return receivers
}
