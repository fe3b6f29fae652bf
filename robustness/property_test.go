package robustness

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/robustness/internal/faulty"
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
	property := properties(func(clock memstreamer.Clock, retention time.Duration) modelled {
		return memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(retention))
	})
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, property) })
}

// TestPropertiesFindEachFault shows that the model finds the faults. It makes one
// call at a time, and so cannot see the one that needs a Recv to be woken.
func TestPropertiesFindEachFault(t *testing.T) {
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "0s", "rapid.checks": "2000"} {
		f := flag.Lookup(name)
		defer func(before string) { _ = f.Value.Set(before) }(f.Value.String())
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
	}
	for _, fault := range faulty.All() {
		if fault.Name == "loses a wake-up now and then" {
			continue
		}
		t.Run(fault.Name, func(t *testing.T) {
			f := &failing{}
			property := properties(func(clock memstreamer.Clock, retention time.Duration) modelled {
				return fault.New(clock, retention)
			})
			synctest.Test(t, func(t *testing.T) {
				f.T = t
				rapid.Check(f, property)
			})
			if !strings.Contains(f.output.String(), ", and not") {
				t.Errorf("no sequence of calls shows it; it fired %d times: %s", fault.Fired(), &f.output)
			}
		})
	}
}

// failing is a test that has to fail.
type failing struct {
	*testing.T
	output strings.Builder
}

func (f *failing) Errorf(format string, args ...any) { fmt.Fprintf(&f.output, format, args...) }
func (f *failing) Fatalf(format string, args ...any) { f.Errorf(format, args...) }
func (f *failing) FailNow()                          {}
func (f *failing) Fail()                             {}
func (f *failing) Log(...any)                        {}
func (f *failing) Logf(string, ...any)               {}

func properties(makes func(memstreamer.Clock, time.Duration) modelled) func(*rapid.T) {
	return func(t *rapid.T) {
		m := newModel(t, makes)
		for range 3 {
			t.Repeat(rapid.StateMachineActions(m))
			m.drain(t)
		}
	}
}

// modelled is what the model describes.
type modelled interface {
	Streamer
	Stats() memstreamer.Stats
	Forget(ctx context.Context, topic, name string) error
}

// model is what the contract says of a streamer that is used by one call at a
// time.
type model struct {
	streamer  modelled
	clock     *Clock
	retention time.Duration // 0: everything is kept

	topics  map[string]*modelTopic
	cursors map[key]*modelCursor // those that are remembered
	lastID  int64
	idle    bool // nothing was called since the last look

	senders    []*modelSender
	receivers  []*modelReceiver
	deliveries []modelDelivery
}

type modelTopic struct {
	events []modelEvent // all that were ever sent
	first  int          // the place of the oldest that is kept
	sent   int64        // since the topic was made
}

func (t *modelTopic) kept() []modelEvent { return t.events[t.first:] }

type modelEvent struct {
	memstreamer.Event
	since time.Duration // what its age counts from
}

type modelCursor struct {
	key
	next       int // in the events of the topic, gone or not
	ackedID    int64
	acked      int64
	deliveries int64 // of the next event
	open       int
	parked     int
	closed     time.Duration // the time of the last Close
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
	ack    memstreamer.Ack
}

func newModel(t *rapid.T, makes func(memstreamer.Clock, time.Duration) modelled) *model {
	m := &model{clock: &Clock{yield: func() {}}, topics: map[string]*modelTopic{}, cursors: map[key]*modelCursor{}}
	for _, topic := range topics {
		m.topics[topic] = &modelTopic{}
	}
	m.retention = rapid.SampledFrom([]time.Duration{retentionPeriod, retentionPeriod, 1, 0}).Draw(t, "retention")
	m.streamer = makes(m.clock, m.retention)
	return m
}

func (m *model) now() time.Duration { return m.clock.Now().Sub(epoch) }

// old reports whether what is from a time is past the period.
func (m *model) old(since time.Duration) bool { return m.retention > 0 && m.now()-since > m.retention }

func drawTopic(t *rapid.T) string { return rapid.SampledFrom(topics).Draw(t, "topic") }

// draw returns one of what there is, and skips the action where there is nothing.
func draw[E any](t *rapid.T, from []E, what string) int {
	if len(from) == 0 {
		t.Skip("no " + what)
	}
	return rapid.IntRange(0, len(from)-1).Draw(t, what)
}

// OpenSender opens a sender.
func (m *model) OpenSender(t *rapid.T) { m.openSender(t, drawTopic(t)) }

func (m *model) openSender(t *rapid.T, topic string) *modelSender {
	s, err := m.streamer.NewSender(t.Context(), topic)
	noError(t, err)
	m.senders = append(m.senders, &modelSender{s, topic})
	return m.senders[len(m.senders)-1]
}

// Send sends to the topic of a sender or, by a header, to another.
func (m *model) Send(t *rapid.T) {
	s := m.senders[draw(t, m.senders, "sender")]
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
	m.send(t, s, memstreamer.Event{
		ForeignID: rapid.String().Draw(t, "foreignID"), Type: rapid.Int().Draw(t, "type"), Headers: headers,
	})
}

func (m *model) send(t *rapid.T, s *modelSender, e memstreamer.Event) {
	topic := m.topics[cmp.Or(e.Headers[memstreamer.HeaderTopic], s.topic)]
	headers := maps.Clone(e.Headers)
	noError(t, s.Send(t.Context(), e.ForeignID, e.Type, headers))
	clear(headers)
	m.lastID++
	e.ID, e.CreatedAt = m.lastID, m.clock.Now()
	since := m.now()
	if kept := topic.kept(); len(kept) > 0 {
		// Age never goes back within a topic.
		since = max(since, kept[len(kept)-1].since)
	}
	topic.events = append(topic.events, modelEvent{e, since})
	topic.sent++
}

// CloseSender closes a sender, or closes it again.
func (m *model) CloseSender(t *rapid.T) {
	i := draw(t, m.senders, "sender")
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		noError(t, m.senders[i].Close())
	}
	if err := m.senders[i].Send(t.Context(), "", 0, nil); err != memstreamer.ErrClosed {
		t.Fatalf("Send on a closed sender: %v", err)
	}
	m.senders = slices.Delete(m.senders, i, i+1)
}

func drawKey(t *rapid.T) key {
	return key{drawTopic(t), rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "name")}
}

// OpenReceiver opens a receiver of a name that has a cursor or not.
func (m *model) OpenReceiver(t *rapid.T) {
	m.openReceiver(t, drawKey(t), rapid.Bool().Draw(t, "latest"))
}

func (m *model) openReceiver(t *rapid.T, k key, latest bool) {
	var opts []memstreamer.ReceiverOption
	if latest {
		opts = append(opts, memstreamer.StreamFromLatest())
	}
	r, err := m.streamer.NewReceiver(t.Context(), k.topic, k.name, opts...)
	noError(t, err)
	c := m.cursors[k]
	if c == nil || m.expired(c) {
		topic := m.topics[k.topic]
		c = &modelCursor{key: k, next: topic.first}
		for c.next < len(topic.events) && (latest || m.old(topic.events[c.next].since)) {
			c.next++
		}
		m.cursors[k] = c
	}
	c.open++
	m.receivers = append(m.receivers, &modelReceiver{r, c})
}

// CloseReceiver closes a receiver, or closes it again.
func (m *model) CloseReceiver(t *rapid.T) { m.closeReceiver(t, draw(t, m.receivers, "receiver")) }

func (m *model) closeReceiver(t *rapid.T, i int) {
	r := m.receivers[i]
	r.cursor.open--
	r.cursor.closed = m.now()
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		noError(t, r.Close())
	}
	if _, _, err := r.Recv(t.Context()); err != memstreamer.ErrClosed {
		t.Fatalf("Recv of a closed receiver: %v", err)
	}
	m.receivers = slices.Delete(m.receivers, i, i+1)
}

// Recv receives the event that is due. Where there is none it has to park, for
// as long as its context goes on.
func (m *model) Recv(t *rapid.T) { m.recv(t, draw(t, m.receivers, "receiver")) }

func (m *model) recv(t *rapid.T, i int) {
	r := m.receivers[i]
	c, events := r.cursor, m.topics[r.cursor.topic].events
	if c.next == len(events) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		returned := make(chan error, 1)
		go func() {
			_, _, err := r.EventReceiver.Recv(ctx)
			returned <- err
		}()
		synctest.Wait()
		c.parked++
		m.look(t)
		cancel()
		if err := <-returned; err != context.Canceled {
			t.Fatalf("Recv with nothing to receive: %v", err)
		}
		c.parked--
		return
	}
	// One that waits in vain fails, when all else in the bubble is at rest.
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	event, ack, err := r.EventReceiver.Recv(ctx)
	if want := events[c.next].Event; err != nil || fmt.Sprintf("%#v", *event) != fmt.Sprintf("%#v", want) {
		t.Fatalf("received %#v (%v), and not %#v", event, err, want)
	}
	clear(event.Headers)
	c.deliveries++
	m.deliveries = append(m.deliveries, modelDelivery{c, c.next, ack})
}

// Ack acks an event that was received at any time, by a receiver that may have
// been closed and a cursor that may have been forgotten.
func (m *model) Ack(t *rapid.T) {
	last := len(m.deliveries) - 1
	d := m.deliveries[last-min(last, draw(t, m.deliveries, "before the last"))]
	noError(t, d.ack())
	if c := d.cursor; d.place >= c.next {
		c.next, c.ackedID = d.place+1, m.topics[c.topic].events[d.place].ID
		c.acked++
		c.deliveries = 0
	}
}

// Fail has a step fail for long: it receives an event, closes, backs off while
// others send, opens again, and finds that event.
func (m *model) Fail(t *rapid.T) {
	i := draw(t, m.receivers, "receiver")
	c := m.receivers[i].cursor
	if c.open > 1 || c.next == len(m.topics[c.topic].events) {
		t.Skip("not the only receiver, or nothing to fail with")
	}
	s := m.openSender(t, c.topic)
	for range 3 {
		m.recv(t, i)
		m.closeReceiver(t, i)
		m.clock.step(m.retention, func(time.Duration) {})
		m.send(t, s, memstreamer.Event{})
		m.openReceiver(t, c.key, false)
		i = len(m.receivers) - 1
	}
	m.recv(t, i)
}

// Forget has a name forgotten, which may be in use or not there.
func (m *model) Forget(t *rapid.T) {
	k := drawKey(t)
	err := m.streamer.Forget(t.Context(), k.topic, k.name)
	c := m.cursors[k]
	if inUse := c != nil && c.open > 0; inUse != (err != nil) || errors.Is(err, memstreamer.ErrClosed) {
		t.Fatalf("Forget of %v, in use: %t: %v", k, inUse, err)
	}
	if err == nil {
		delete(m.cursors, k)
	}
}

// Step steps the clock, mostly on. Nothing is looked at before the next call, which
// finds what has expired.
func (m *model) Step(t *rapid.T) {
	d := max(m.retention, 2)
	step := rapid.SampledFrom([]time.Duration{1, d / 2, d, d + 1, 10 * d, -1, -d / 2, -3 * d}).Draw(t, "step")
	m.clock.step(step, func(time.Duration) {})
	m.idle = true
}

// drain makes as many calls as there are things that may go. After these all of
// them have to be gone.
func (m *model) drain(t *rapid.T) {
	s := m.openSender(t, topics[0])
	for range m.free() {
		m.send(t, s, memstreamer.Event{})
	}
	m.look(t)
	if n := m.free(); n > 0 {
		t.Fatalf("%d things could have been dropped and were not: %+v", n, m.streamer.Stats())
	}
}

// free returns how many events and cursors may be dropped.
func (m *model) free() (n int) {
	for name, topic := range m.topics {
		for place := topic.first; place < len(topic.events) && m.mayGo(name, place); place++ {
			n++
		}
	}
	for _, c := range m.cursors {
		if m.expired(c) {
			n++
		}
	}
	return n
}

func (m *model) expired(c *modelCursor) bool { return c.open == 0 && m.old(c.closed) }

// mayGo reports whether retention allows an event to be gone: it is past the
// period, and every name that is remembered has acked it.
func (m *model) mayGo(topic string, place int) bool {
	for _, c := range m.cursors {
		if c.topic == topic && c.next <= place && !m.expired(c) {
			return false
		}
	}
	return m.old(m.topics[topic].events[place].since)
}

// Check runs after every action.
func (m *model) Check(t *rapid.T) {
	if !m.idle {
		m.look(t)
	}
	m.idle = false
}

// look compares the Stats with the model.
func (m *model) look(t *rapid.T) {
	stats := m.streamer.Stats()
	if !slices.IsSortedFunc(stats.Topics, func(a, b memstreamer.TopicStats) int { return cmp.Compare(a.Topic, b.Topic) }) ||
		!slices.IsSortedFunc(stats.Receivers, func(a, b memstreamer.ReceiverStats) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Name, b.Name))
		}) {
		t.Fatalf("not in order: %+v", stats)
	}
	m.drop(t, stats)
	var want memstreamer.Stats
	for _, name := range topics {
		topic := m.topics[name]
		used := len(topic.kept()) > 0 || slices.ContainsFunc(m.senders, func(s *modelSender) bool { return s.topic == name })
		for _, k := range slices.SortedFunc(maps.Keys(m.cursors), func(a, b key) int { return cmp.Compare(a.name, b.name) }) {
			if k.topic == name {
				used = true
				want.Receivers = append(want.Receivers, m.receiverStats(m.cursors[k]))
			}
		}
		if !used {
			topic.sent = 0
			continue
		}
		want.Topics = append(want.Topics, topic.stats(name))
	}
	if fmt.Sprintf("%+v", stats) != fmt.Sprintf("%+v", want) {
		t.Fatalf("Stats returned\n%+v, and not\n%+v", stats, want)
	}
}

// drop drops from the model what is gone from the Stats, and was free to go.
func (m *model) drop(t *rapid.T, stats memstreamer.Stats) {
	for k, c := range m.cursors {
		there := slices.ContainsFunc(stats.Receivers, func(r memstreamer.ReceiverStats) bool { return r.Topic == k.topic && r.Name == k.name })
		if !there && m.expired(c) {
			delete(m.cursors, k)
		}
	}
	for name, topic := range m.topics {
		first := int64(0)
		for _, s := range stats.Topics {
			if s.Topic == name {
				first = s.FirstID
			}
		}
		for len(topic.kept()) > 0 && (first == 0 || topic.kept()[0].ID < first) && m.mayGo(name, topic.first) {
			topic.first++
		}
	}
}

func (t *modelTopic) stats(name string) memstreamer.TopicStats {
	s := memstreamer.TopicStats{Topic: name, Retained: len(t.kept())}
	if kept := t.kept(); len(kept) > 0 {
		s.FirstID, s.LastID = kept[0].ID, kept[len(kept)-1].ID
	}
	return s
}

func (m *model) receiverStats(c *modelCursor) memstreamer.ReceiverStats {
	waiting := m.topics[c.topic].events[c.next:]
	return memstreamer.ReceiverStats{
		Topic: c.topic, Name: c.name, Open: c.open, Parked: c.parked, Lag: int64(len(waiting)), AckedID: c.ackedID,
	}
}

func noError(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
