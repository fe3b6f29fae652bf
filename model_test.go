package memstreamer_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// model is what the contract and the rules of retention say, in as few words.
type model struct {
	period time.Duration // 0: without retention
	now    time.Time
	lastID int64
	topics map[string]*modelTopic
}

type modelTopic struct {
	events  []modelEvent // all ever sent
	dropped int
	names   map[string]*modelName
	senders int
}

type modelEvent struct {
	memstreamer.Event
	added time.Time
}

type modelName struct {
	topic      *modelTopic
	next       int // index in topic.events
	deliveries int64
	acked      int64
	ackedID    int64
	open       int
	closedAt   time.Time // the latest close, since all were closed
	forgotten  bool
}

func (m *model) topic(name string) *modelTopic {
	if m.topics[name] == nil {
		m.topics[name] = &modelTopic{names: map[string]*modelName{}}
	}
	return m.topics[name]
}

func (m *model) old(t time.Time) bool { return m.period > 0 && m.now.Sub(t) > m.period }

func (m *model) send(topic string, event memstreamer.Event) {
	m.lastID++
	event.ID, event.CreatedAt = m.lastID, m.now
	t, added := m.topic(topic), m.now
	if n := len(t.events); n > t.dropped && t.events[n-1].added.After(added) {
		added = t.events[n-1].added
	}
	t.events = append(t.events, modelEvent{event, added})
}

// name returns the name for one more receiver.
func (m *model) name(topic, name string, latest bool) *modelName {
	t := m.topic(topic)
	if t.names[name] == nil {
		start := len(t.events)
		if !latest {
			for start = t.dropped; start < len(t.events) && m.old(t.events[start].added); {
				start++
			}
		}
		t.names[name] = &modelName{topic: t, next: start}
	}
	if t.names[name].open == 0 {
		t.names[name].closedAt = time.Time{}
	}
	t.names[name].open++
	return t.names[name]
}

func (n *modelName) ack(index int) {
	if !n.forgotten && index == n.next {
		n.next++
		n.acked++
		n.ackedID = n.topic.events[index].ID
		n.deliveries = 0
	}
}

// expire applies the rules of retention.
func (m *model) expire() {
	for topic, t := range m.topics {
		for name, n := range t.names {
			if n.open == 0 && m.old(n.closedAt) {
				m.forget(t, name)
			}
		}
		for t.dropped < len(t.events) && m.old(t.events[t.dropped].added) && !t.needed(t.dropped) {
			t.dropped++
		}
		if t.dropped == len(t.events) && len(t.names) == 0 && t.senders == 0 {
			delete(m.topics, topic)
		}
	}
}

func (m *model) forget(t *modelTopic, name string) {
	t.names[name].forgotten = true
	delete(t.names, name)
}

// needed reports whether a name has not acked that event.
func (t *modelTopic) needed(index int) bool {
	for _, n := range t.names {
		if n.next <= index {
			return true
		}
	}
	return false
}

func (m *model) stats() memstreamer.Stats {
	stats := memstreamer.Stats{Topics: []memstreamer.TopicStats{}, Receivers: []memstreamer.ReceiverStats{}}
	for topic, t := range m.topics {
		ts := memstreamer.TopicStats{Topic: topic, Retained: len(t.events) - t.dropped, Sent: int64(len(t.events))}
		if ts.Retained > 0 {
			ts.FirstID, ts.LastID = t.events[t.dropped].ID, t.events[len(t.events)-1].ID
		}
		stats.Topics = append(stats.Topics, ts)
		for name, n := range t.names {
			rs := memstreamer.ReceiverStats{
				Topic: topic, Name: name, Open: n.open, Lag: int64(len(t.events) - n.next),
				AckedID: n.ackedID, Acked: n.acked, Deliveries: n.deliveries,
			}
			if rs.Lag > 0 {
				rs.OldestUnacked = t.events[n.next].CreatedAt
			}
			stats.Receivers = append(stats.Receivers, rs)
		}
	}
	slices.SortFunc(stats.Topics, func(a, b memstreamer.TopicStats) int { return cmp.Compare(a.Topic, b.Topic) })
	slices.SortFunc(stats.Receivers, func(a, b memstreamer.ReceiverStats) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Name, b.Name))
	})
	return stats
}

// delivery is what one Recv returned.
type delivery struct {
	name  *modelName
	index int
	ack   memstreamer.Ack
}

// driver lets a program, each byte a choice, drive a streamer and the model, and
// fails where they differ. After each step it checks the streamer's own books, and
// compares all that Stats tells.
type driver struct {
	*testing.T
	program []byte
	// lazy compares Stats at times only: Stats drops what has expired, and the other
	// calls have to do without.
	lazy  bool
	model model
	clock *steppedClock
	s     *memstreamer.StreamConstructor

	senders    []openSender
	receivers  []openReceiver
	deliveries []delivery
}

type openSender struct {
	topic  string
	sender memstreamer.EventSender
}

type openReceiver struct {
	name     *modelName
	receiver memstreamer.EventReceiver
}

const modelPeriod = 10 * time.Second

var (
	modelTopics = []string{"a", "b", "c"}
	modelNames  = []string{"x", "y"}
)

func runModel(t *testing.T, program []byte) {
	d := &driver{T: t, program: program, clock: newSteppedClock()}
	d.model.topics = map[string]*modelTopic{}
	if d.choose(4) > 0 {
		d.model.period = modelPeriod
	}
	d.lazy = d.choose(2) > 0
	d.s = memstreamer.New(memstreamer.WithClock(d.clock), memstreamer.WithRetention(d.model.period))
	steps := []func(){
		d.openSender, d.send, d.send, d.sendMany, d.closeSender,
		d.openReceiver, d.receive, d.receive, d.receiveMany, d.ack, d.ack, d.closeReceiver,
		d.forget, d.wait, d.compare,
	}
	for len(d.program) > 0 {
		d.model.now = d.clock.Now()
		steps[d.choose(len(steps))]()
		d.model.now = d.clock.Now()
		d.model.expire()
		if !d.lazy {
			d.compare()
		}
		require.NoError(t, d.s.CheckInvariants())
	}
	d.compare()
}

func (d *driver) compare() {
	want, got := d.model.stats(), d.s.Stats()
	if d.lazy {
		// A topic that is used again before it was found expired lives on.
		for i := range got.Topics {
			got.Topics[i].Sent = 0
		}
		for i := range want.Topics {
			want.Topics[i].Sent = 0
		}
	}
	require.Equal(d, want, got)
}

func (d *driver) choose(n int) int {
	if len(d.program) == 0 {
		return 0
	}
	choice := int(d.program[0]) % n
	d.program = d.program[1:]
	return choice
}

// pick chooses one of s, the newest first.
func pick[T any](d *driver, s []T) (i int, ok bool) {
	if len(s) == 0 {
		return 0, false
	}
	return len(s) - 1 - d.choose(min(len(s), 5)), true
}

func (d *driver) openSender() {
	topic := modelTopics[d.choose(3)]
	d.model.topic(topic).senders++
	d.senders = append(d.senders, openSender{topic, newSender(d, d.s, topic)})
}

func (d *driver) closeSender() {
	if i, ok := pick(d, d.senders); ok {
		require.NoError(d, d.senders[i].sender.Close())
		require.NoError(d, d.senders[i].sender.Close())
		require.ErrorIs(d, d.senders[i].sender.Send(d.Context(), "", 1, nil), memstreamer.ErrClosed)
		d.model.topic(d.senders[i].topic).senders--
		d.senders = slices.Delete(d.senders, i, i+1)
	}
}

func (d *driver) send() {
	i, ok := pick(d, d.senders)
	if !ok {
		return
	}
	topic := d.senders[i].topic
	headers := []map[memstreamer.Header]string{
		nil, {}, {"": "", "k": "\x00é\n"}, {memstreamer.HeaderRunID: "run", memstreamer.HeaderTopic: ""},
		{memstreamer.HeaderTopic: modelTopics[d.choose(3)]},
	}[d.choose(5)]
	if other := headers[memstreamer.HeaderTopic]; other != "" {
		topic = other
	}
	event := memstreamer.Event{ForeignID: fmt.Sprint("f", d.model.lastID), Type: d.choose(256) - 128, Headers: maps.Clone(headers)}
	d.model.send(topic, event)
	require.NoError(d, d.senders[i].sender.Send(d.Context(), event.ForeignID, event.Type, headers))
	if headers != nil {
		headers[memstreamer.HeaderTopic] = "changed after Send"
	}
}

// sendMany crosses segments and chunks.
func (d *driver) sendMany() {
	if i, ok := pick(d, d.senders); ok {
		for range d.choose(2 * memstreamer.SegmentSize) {
			d.model.send(d.senders[i].topic, memstreamer.Event{})
			require.NoError(d, d.senders[i].sender.Send(d.Context(), "", 0, nil))
		}
	}
}

func (d *driver) openReceiver() {
	topic, name, latest := modelTopics[d.choose(3)], modelNames[d.choose(2)], d.choose(3) == 1
	var opts []memstreamer.ReceiverOption
	if latest {
		opts = append(opts, memstreamer.StreamFromLatest())
	}
	d.receivers = append(d.receivers, openReceiver{d.model.name(topic, name, latest), newReceiver(d, d.s, topic, name, opts...)})
}

func (d *driver) closeReceiver() {
	if i, ok := pick(d, d.receivers); ok {
		r := d.receivers[i]
		require.NoError(d, r.receiver.Close())
		require.NoError(d, r.receiver.Close())
		_, _, err := r.receiver.Recv(d.Context())
		require.ErrorIs(d, err, memstreamer.ErrClosed)
		r.name.open--
		if d.model.now.After(r.name.closedAt) {
			r.name.closedAt = d.model.now
		}
		d.receivers = slices.Delete(d.receivers, i, i+1)
	}
}

func (d *driver) receive() {
	if i, ok := pick(d, d.receivers); ok {
		d.receiveFrom(d.receivers[i])
	}
}

func (d *driver) receiveFrom(r openReceiver) {
	if r.name.next == len(r.name.topic.events) {
		requireNothing(d, r.receiver)
		return
	}
	event, ack, err := r.receiver.Recv(d.Context())
	require.NoError(d, err)
	require.Equal(d, r.name.topic.events[r.name.next].Event, *event)
	if event.Headers != nil {
		event.Headers["k"] = "changed by its receiver"
	}
	r.name.deliveries++
	d.deliveries = append(d.deliveries, delivery{r.name, r.name.next, ack})
}

// receiveMany acks what it receives.
func (d *driver) receiveMany() {
	if i, ok := pick(d, d.receivers); ok {
		r := d.receivers[i]
		for range min(d.choose(2*memstreamer.SegmentSize), len(r.name.topic.events)-r.name.next) {
			d.receiveFrom(r)
			d.ackDelivery(d.deliveries[len(d.deliveries)-1])
		}
	}
}

// ack acks any delivery, mostly one of the last, and any number of times.
func (d *driver) ack() {
	if i, ok := pick(d, d.deliveries); ok {
		if d.choose(8) == 0 {
			i = d.choose(len(d.deliveries))
		}
		d.ackDelivery(d.deliveries[i])
	}
}

func (d *driver) ackDelivery(delivery delivery) {
	require.NoError(d, delivery.ack())
	delivery.name.ack(delivery.index)
}

func (d *driver) forget() {
	topic, name := modelTopics[d.choose(3)], modelNames[d.choose(2)]
	err := d.s.Forget(d.Context(), topic, name)
	t := d.model.topics[topic]
	if t == nil || t.names[name] == nil {
		require.NoError(d, err)
		return
	}
	if t.names[name].open > 0 {
		require.ErrorContains(d, err, "close it first")
		return
	}
	require.NoError(d, err)
	d.model.forget(t, name)
}

// wait moves the clock, at times by just the period, and at times back: not if
// what has expired by then may be found later.
func (d *driver) wait() {
	steps := []time.Duration{1, time.Second, modelPeriod - time.Second, modelPeriod, modelPeriod + 1, -time.Second, -3 * modelPeriod}
	if d.lazy {
		steps = steps[:5]
	}
	d.clock.Step(steps[d.choose(len(steps))])
}

func TestModel(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		program := make([]byte, 600)
		for i := range program {
			program[i] = byte(random.Uint32())
		}
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { runModel(t, program) }) {
			return
		}
	}
}

func FuzzModel(f *testing.F) {
	f.Fuzz(runModel)
}
