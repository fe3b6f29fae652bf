package robustness

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/memstreamer/memstreamer"
)

// TestProperties drives a streamer with one call after another, and clock steps
// in both directions between them, and compares what it returns, and its Stats
// after each call, with a model. A failure is shrunk to its shortest form and
// reproduced by the flags that rapid prints.
//
// When retention drops what it may drop is the streamer's affair. So the model
// looks in the Stats at what is gone, and insists that it was free to go, that
// all else is as it was, and that everything free to go is gone after as many
// calls as there are things to drop.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			m := newModel(t)
			for range 3 {
				t.Repeat(rapid.StateMachineActions(m))
				m.drain(t)
			}
		})
	})
}

// model is what the contract says of a streamer that is used by one call at a
// time.
type model struct {
	streamer  *memstreamer.StreamConstructor
	clock     *Clock
	retention time.Duration // 0: everything is kept

	events  map[string][]*modelEvent // by topic, all that were ever sent
	cursors map[key]*modelCursor
	used    map[string]bool // the topics there are
	held    map[string]int  // by topic, the place from where open receivers held it before the last call
	lastID  int64

	senders    []*modelSender
	receivers  []*modelReceiver
	deliveries []modelDelivery
}

type modelEvent struct {
	memstreamer.Event
	gone bool
}

type modelCursor struct {
	key
	next    int // in the events of the topic, gone or not
	ackedID int64
	open    int
	parked  int
	idle    time.Duration // the time of the last Close
}

type modelSender struct {
	memstreamer.EventSender
	topic string
}

type modelReceiver struct {
	memstreamer.EventReceiver
	cursor *modelCursor
}

type modelDelivery struct {
	cursor *modelCursor
	place  int
	id     int64
	ack    memstreamer.Ack
}

func newModel(t *rapid.T) *model {
	m := &model{
		clock:   &Clock{yield: func() {}},
		events:  map[string][]*modelEvent{},
		cursors: map[key]*modelCursor{},
		used:    map[string]bool{},
		held:    map[string]int{},
	}
	m.retention = rapid.SampledFrom([]time.Duration{retentionPeriod, retentionPeriod, 1, 0}).Draw(t, "retention")
	m.streamer = memstreamer.New(memstreamer.WithClock(m.clock), memstreamer.WithRetention(m.retention))
	return m
}

func (m *model) now() time.Duration { return m.clock.Now().Sub(epoch) }

func drawTopic(t *rapid.T) string { return rapid.SampledFrom(topics).Draw(t, "topic") }

// OpenSender opens a sender.
func (m *model) OpenSender(t *rapid.T) {
	topic := drawTopic(t)
	s, err := m.streamer.NewSender(t.Context(), topic)
	noError(t, err)
	m.senders = append(m.senders, &modelSender{s, topic})
	m.used[topic] = true
}

// Send sends to the topic of a sender or, by a header, to another.
func (m *model) Send(t *rapid.T) {
	if len(m.senders) == 0 {
		t.Skip("no sender")
	}
	s := rapid.SampledFrom(m.senders).Draw(t, "sender")
	topic := rapid.SampledFrom(append([]string{""}, topics...)).Draw(t, "header")
	headers := rapid.MapOfN(
		rapid.Map(rapid.String(), func(s string) memstreamer.Header { return memstreamer.Header("x" + s) }), rapid.String(), 0, 3,
	).Draw(t, "headers")
	if topic != "" || rapid.Bool().Draw(t, "with an empty topic") {
		headers[memstreamer.HeaderTopic] = topic
	}
	if len(headers) == 0 && rapid.Bool().Draw(t, "nil headers") {
		headers = nil
	}
	if topic == "" {
		topic = s.topic
	}
	m.lastID++
	e := &modelEvent{Event: memstreamer.Event{
		ID: m.lastID, ForeignID: rapid.String().Draw(t, "foreignID"), Type: rapid.Int().Draw(t, "type"),
		Headers: maps.Clone(headers), CreatedAt: m.clock.Now(),
	}}
	noError(t, s.Send(t.Context(), e.ForeignID, e.Type, headers))
	clear(headers)
	m.events[topic] = append(m.events[topic], e)
	m.used[topic] = true
}

// CloseSender closes a sender, or closes it again.
func (m *model) CloseSender(t *rapid.T) {
	if len(m.senders) == 0 {
		t.Skip("no sender")
	}
	i := rapid.IntRange(0, len(m.senders)-1).Draw(t, "sender")
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		noError(t, m.senders[i].Close())
	}
	if err := m.senders[i].Send(t.Context(), "", 0, nil); err != memstreamer.ErrClosed {
		t.Fatalf("Send on a closed sender: %v", err)
	}
	m.senders = slices.Delete(m.senders, i, i+1)
}

// OpenReceiver opens a receiver of a name that has a cursor or not.
func (m *model) OpenReceiver(t *rapid.T) {
	k := key{drawTopic(t), rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "name")}
	latest := rapid.Bool().Draw(t, "latest")
	var opts []memstreamer.ReceiverOption
	if latest {
		opts = append(opts, memstreamer.StreamFromLatest())
	}
	r, err := m.streamer.NewReceiver(t.Context(), k.topic, k.name, opts...)
	noError(t, err)
	c := m.cursors[k]
	if c == nil || m.expired(c) {
		c = &modelCursor{key: k}
		if latest {
			c.next = len(m.events[k.topic])
		}
		m.cursors[k] = c
	}
	c.open++
	m.used[k.topic] = true
	m.receivers = append(m.receivers, &modelReceiver{r, c})
}

// CloseReceiver closes a receiver, or closes it again.
func (m *model) CloseReceiver(t *rapid.T) {
	i := m.drawReceiver(t)
	r := m.receivers[i]
	r.cursor.open--
	r.cursor.idle = m.now()
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		noError(t, r.Close())
	}
	if _, _, err := r.Recv(t.Context()); err != memstreamer.ErrClosed {
		t.Fatalf("Recv of a closed receiver: %v", err)
	}
	m.receivers = slices.Delete(m.receivers, i, i+1)
}

func (m *model) drawReceiver(t *rapid.T) int {
	if len(m.receivers) == 0 {
		t.Skip("no receiver")
	}
	return rapid.IntRange(0, len(m.receivers)-1).Draw(t, "receiver")
}

// Recv receives the event that is due. Where there is none it has to park, for
// as long as its context goes on.
func (m *model) Recv(t *rapid.T) {
	r := m.receivers[m.drawReceiver(t)]
	place := m.due(r.cursor)
	if place == len(m.events[r.cursor.topic]) {
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			_, _, err = r.EventReceiver.Recv(ctx)
		}()
		synctest.Wait()
		r.cursor.parked++
		m.Check(t)
		cancel()
		<-returned
		r.cursor.parked--
		if err != context.Canceled {
			t.Fatalf("Recv with nothing to receive: %v", err)
		}
		return
	}
	event, ack, err := r.EventReceiver.Recv(t.Context())
	noError(t, err)
	want := m.events[r.cursor.topic][place].Event
	if fmt.Sprintf("%#v", *event) != fmt.Sprintf("%#v", want) {
		t.Fatalf("received %#v, and not %#v", *event, want)
	}
	clear(event.Headers)
	m.deliveries = append(m.deliveries, modelDelivery{r.cursor, place, event.ID, ack})
}

// due returns the place of the oldest event that is kept and not acked.
func (m *model) due(c *modelCursor) int {
	place := c.next
	for _, e := range m.events[c.topic][c.next:] {
		if !e.gone {
			break
		}
		place++
	}
	return place
}

// Ack acks an event that was received at any time, by a receiver that may have
// been closed and a cursor that may have been forgotten.
func (m *model) Ack(t *rapid.T) {
	if len(m.deliveries) == 0 {
		t.Skip("no delivery")
	}
	last := len(m.deliveries) - 1
	d := m.deliveries[last-min(last, rapid.IntRange(0, 10).Draw(t, "before the last"))]
	noError(t, d.ack())
	if d.place >= d.cursor.next {
		d.cursor.next, d.cursor.ackedID = d.place+1, d.id
	}
}

// Step steps the clock, mostly on.
func (m *model) Step(t *rapid.T) {
	d := max(m.retention, 2)
	step := rapid.SampledFrom([]time.Duration{1, d / 2, d, d + 1, 10 * d, -1, -d / 2, -3 * d}).Draw(t, "step")
	m.clock.step(step, func(time.Duration) {})
}

// drain makes as many calls as there are things that may go. After these all of
// them have to be gone.
func (m *model) drain(t *rapid.T) {
	s, err := m.streamer.NewSender(t.Context(), topics[0])
	noError(t, err)
	m.used[topics[0]] = true
	m.senders = append(m.senders, &modelSender{s, topics[0]})
	for range m.free() {
		noError(t, s.Send(t.Context(), "", 0, nil))
		m.lastID++
		e := memstreamer.Event{ID: m.lastID, CreatedAt: m.clock.Now()}
		m.events[topics[0]] = append(m.events[topics[0]], &modelEvent{Event: e})
	}
	m.Check(t)
	if n := m.free(); n > 0 {
		t.Fatalf("%d things could have been dropped and were not: %+v", n, m.streamer.Stats())
	}
}

// free returns how many events, cursors and topics may be dropped.
func (m *model) free() (n int) {
	for topic, events := range m.events {
		for place, e := range events {
			if e.gone {
				continue
			}
			// Those behind one that is kept are kept with it.
			if !m.mayGo(topic, place) {
				break
			}
			n++
		}
	}
	for _, c := range m.cursors {
		if m.expired(c) {
			n++
		}
	}
	for topic := range m.used {
		if m.topicMayGo(topic) {
			n++
		}
	}
	return n
}

func (m *model) expired(c *modelCursor) bool {
	return m.retention > 0 && c.open == 0 && m.now()-c.idle > m.retention
}

// mayGo tells whether retention allows an event to be gone, now or since the
// last call.
func (m *model) mayGo(topic string, place int) bool {
	old := m.now()-m.events[topic][place].CreatedAt.Sub(epoch) > m.retention
	return m.retention > 0 && old && (place < m.held[topic] || place < m.holds(topic))
}

// holds returns the place from where open receivers hold the events of topic.
func (m *model) holds(topic string) int {
	from := len(m.events[topic])
	for _, c := range m.cursors {
		if c.topic == topic && c.open > 0 {
			from = min(from, c.next)
		}
	}
	return from
}

func (m *model) topicMayGo(topic string) bool {
	kept := slices.ContainsFunc(m.events[topic], func(e *modelEvent) bool { return !e.gone })
	for _, c := range m.cursors {
		kept = kept || c.topic == topic
	}
	for _, s := range m.senders {
		kept = kept || s.topic == topic
	}
	return m.retention > 0 && !kept
}

// Check runs after every call.
func (m *model) Check(t *rapid.T) {
	stats := m.streamer.Stats()
	m.checkTopics(t, stats.Topics)
	m.checkReceivers(t, stats.Receivers)
	m.checkForgotten(t, stats.Topics)
	for _, topic := range topics {
		m.held[topic] = m.holds(topic)
	}
}

func (m *model) checkTopics(t *rapid.T, stats []memstreamer.TopicStats) {
	if !slices.IsSortedFunc(stats, func(a, b memstreamer.TopicStats) int { return cmp.Compare(a.Topic, b.Topic) }) {
		t.Fatalf("not in order: %+v", stats)
	}
	for _, topic := range topics {
		got := memstreamer.TopicStats{Topic: topic}
		if i := slices.IndexFunc(stats, func(s memstreamer.TopicStats) bool { return s.Topic == topic }); i >= 0 {
			got = stats[i]
			if !m.used[topic] {
				t.Fatalf("nobody uses topic %s: %+v", topic, got)
			}
		}
		want := memstreamer.TopicStats{Topic: topic}
		for place, e := range m.events[topic] {
			if gone := got.FirstID == 0 || e.ID < got.FirstID; gone && !e.gone {
				if !m.mayGo(topic, place) {
					t.Fatalf("event %d of topic %s was dropped; held from place %d on: %+v", e.ID, topic, m.holds(topic), got)
				}
				e.gone = true
			}
			if e.gone {
				continue
			}
			if want.Retained == 0 {
				want.FirstID = e.ID
			}
			want.Retained++
			want.LastID = e.ID
		}
		if got != want {
			t.Fatalf("topic is %+v, and not %+v", got, want)
		}
	}
}

func (m *model) checkReceivers(t *rapid.T, stats []memstreamer.ReceiverStats) {
	if !slices.IsSortedFunc(stats, func(a, b memstreamer.ReceiverStats) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Name, b.Name))
	}) {
		t.Fatalf("not in order: %+v", stats)
	}
	there := map[key]bool{}
	for _, got := range stats {
		k := key{got.Topic, got.Name}
		c := m.cursors[k]
		if c == nil || there[k] {
			t.Fatalf("cursor that should not be there: %+v", got)
		}
		there[k] = true
		want := memstreamer.ReceiverStats{Topic: c.topic, Name: c.name, Open: c.open, Parked: c.parked, AckedID: c.ackedID}
		for _, e := range m.events[c.topic][c.next:] {
			if !e.gone {
				want.Lag++
			}
		}
		if got != want {
			t.Fatalf("cursor is %+v, and not %+v", got, want)
		}
	}
	for k, c := range m.cursors {
		if !there[k] {
			if !m.expired(c) {
				t.Fatalf("cursor %v was forgotten", k)
			}
			delete(m.cursors, k)
		}
	}
}

// checkForgotten checks the topics that are not there.
func (m *model) checkForgotten(t *rapid.T, stats []memstreamer.TopicStats) {
	for topic := range m.used {
		if slices.ContainsFunc(stats, func(s memstreamer.TopicStats) bool { return s.Topic == topic }) {
			continue
		}
		if !m.topicMayGo(topic) {
			t.Fatalf("topic %s was forgotten", topic)
		}
		delete(m.used, topic)
	}
}

func noError(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
