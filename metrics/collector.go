package metrics

import (
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Option configures [NewCollector].
type Option func(*options)

type options struct {
	withoutReceiver bool
}

// WithoutReceiverLabel leaves out the receiver label, for programs whose
// receiver names are unbounded, such as an engine that opens a fresh one for
// every run it awaits: each would be three time series for good. The receivers
// of a topic are then one: what is open and what is parked is their sum, and
// the lag is the largest among the names that have an open receiver. The sum
// would not tell one receiver that is stuck from many that are a little behind;
// and a name that nobody reads any more is behind until it is forgotten, which
// is no trouble where names are used once.
func WithoutReceiverLabel() Option {
	return func(o *options) { o.withoutReceiver = true }
}

// NewCollector returns a collector of these metrics of a streamer:
//
//	memstreamer_events_total       counter  events sent, on all topics
//	memstreamer_newest_id_total    counter  ID of the topic's newest event
//	memstreamer_retained_events    gauge    events of the topic that are kept
//	memstreamer_lag_events         gauge    events kept that the receiver has not acked
//	memstreamer_open_receivers     gauge    receivers of the name that are open
//	memstreamer_parked_receivers   gauge    calls of Recv that wait
//
// All but the first have a topic label, and the last three a receiver label
// too, the receiver's name. Each collection takes one snapshot, so that its
// figures agree with each other.
//
// IDs count the events of all topics. A counter must not go down, so a newest
// event that retention has dropped still counts, for as long as its topic is
// there; a topic has no newest ID before its first event. An event that was
// sent and dropped between two collections is counted with the next one kept,
// or at once where a receiver has acked it.
//
// Bytes of a topic or name that are not UTF-8 are spelled as \xNN. Where two
// names are equal then, they share the series: what counts things is their sum,
// and lag and newest ID are the larger.
//
// Streamers that share a registry are told apart by labels of the registerer:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"streamer": "orders"}, registry).
//		MustRegister(metrics.NewCollector(streamer))
//
// It panics for a streamer or an option that is nil.
func NewCollector(streamer Streamer, opts ...Option) prometheus.Collector {
	if streamer == nil {
		panic("metrics: NewCollector: streamer is nil")
	}
	var o options
	for i, opt := range opts {
		if opt == nil {
			panic(fmt.Sprintf("metrics: NewCollector: option %d of %d is nil", i+1, len(opts)))
		}
		opt(&o)
	}
	topic, receiver := []string{"topic"}, []string{"topic", "receiver"}
	if o.withoutReceiver {
		receiver = topic
	}
	return &collector{
		streamer: streamer,
		options:  o,
		events: prometheus.NewDesc("memstreamer_events_total",
			"Events sent, on all topics.", nil, nil),
		newest: prometheus.NewDesc("memstreamer_newest_id_total",
			"ID of the newest event of the topic. IDs count the events of all topics.", topic, nil),
		retained: prometheus.NewDesc("memstreamer_retained_events",
			"Events of the topic that are kept.", topic, nil),
		lag: prometheus.NewDesc("memstreamer_lag_events",
			lagHelp(o), receiver, nil),
		open: prometheus.NewDesc("memstreamer_open_receivers",
			"Receivers that are open.", receiver, nil),
		parked: prometheus.NewDesc("memstreamer_parked_receivers",
			"Calls of Recv that wait for an event.", receiver, nil),
	}
}

func lagHelp(o options) string {
	if o.withoutReceiver {
		return "Events kept and not acked, of the open receiver of the topic that is furthest behind."
	}
	return "Events kept and not acked."
}

type collector struct {
	streamer Streamer
	options  options

	events, newest, retained, lag, open, parked *prometheus.Desc

	mu       sync.Mutex
	lastID   int64            // the largest ID seen
	newestID map[string]int64 // the largest seen of each topic that there was last time
}

// topicSeries and receiverSeries are what one set of label values shows.
type topicSeries struct {
	retained int
	newestID int64
}

type receiverKey struct{ topic, name string }

type receiverSeries struct {
	open, parked int
	lag          int64
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.events, c.newest, c.retained, c.lag, c.open, c.parked} {
		ch <- desc
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	lastID, topics, receivers := c.read()

	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	counter := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
	}
	counter(c.events, float64(lastID))
	for topic, t := range topics {
		gauge(c.retained, float64(t.retained), topic)
		if t.newestID > 0 {
			counter(c.newest, float64(t.newestID), topic)
		}
	}
	for key, r := range receivers {
		labels := []string{key.topic, key.name}
		if c.options.withoutReceiver {
			labels = labels[:1]
		}
		gauge(c.lag, float64(r.lag), labels...)
		gauge(c.open, float64(r.open), labels...)
		gauge(c.parked, float64(r.parked), labels...)
	}
}

// read takes a snapshot and sorts it into series. It takes it under the lock, so
// that of two collections at once the topics of the later one are remembered.
func (c *collector) read() (lastID int64, topics map[string]topicSeries, receivers map[receiverKey]receiverSeries) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := c.streamer.Stats()
	topics = make(map[string]topicSeries, len(stats.Topics))
	receivers = make(map[receiverKey]receiverSeries)
	for _, topic := range stats.Topics {
		label := validUTF8(topic.Topic)
		t := topics[label]
		t.retained += topic.Retained
		t.newestID = max(t.newestID, topic.LastID, c.newestID[label])
		topics[label] = t
		if c.options.withoutReceiver {
			// Also a topic that nobody reads tells that it has no receiver.
			receivers[receiverKey{topic: label}] = receiverSeries{}
		}
	}
	for _, receiver := range stats.Receivers {
		key := receiverKey{validUTF8(receiver.Topic), validUTF8(receiver.Name)}
		if c.options.withoutReceiver {
			key.name = ""
			if receiver.Open == 0 {
				receiver.Lag = 0
			}
		}
		r := receivers[key]
		r.open += receiver.Open
		r.parked += receiver.Parked
		r.lag = max(r.lag, receiver.Lag)
		receivers[key] = r

		t := topics[key.topic]
		t.newestID = max(t.newestID, receiver.AckedID)
		topics[key.topic] = t
	}
	c.newestID = make(map[string]int64, len(topics))
	for label, t := range topics {
		c.newestID[label] = t.newestID
		c.lastID = max(c.lastID, t.newestID)
	}
	return c.lastID, topics, receivers
}
