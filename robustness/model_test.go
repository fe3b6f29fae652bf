package robustness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/memstreamer/memstreamer"
)

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
	closed     time.Duration // the latest time of a Close, since all were closed
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
	if c.open == 0 {
		c.closed = math.MinInt64
	}
	c.open++
	m.receivers = append(m.receivers, &modelReceiver{r, c})
}

// CloseReceiver closes a receiver, or closes it again.
func (m *model) CloseReceiver(t *rapid.T) { m.closeReceiver(t, draw(t, m.receivers, "receiver")) }

func (m *model) closeReceiver(t *rapid.T, i int) {
	r := m.receivers[i]
	r.cursor.open--
	r.cursor.closed = max(r.cursor.closed, m.now())
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

func noError(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
