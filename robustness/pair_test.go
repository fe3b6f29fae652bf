package robustness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/reference"
)

// described is a streamer that says what it holds.
type described interface {
	Streamer
	Stats() memstreamer.Stats
	Forget(ctx context.Context, topic, name string) error
}

// both are something of the streamer under test, and that of the reference.
type both[E any] [2]E

// pair has a streamer and the reference make the same calls, one at a time.
type pair struct {
	clock     *Clock
	retention time.Duration // 0: everything is kept
	streamers both[described]
	stepped   bool // by the last action

	senders   []both[memstreamer.EventSender]
	receivers []receivers
	acks      []both[memstreamer.Ack]
}

type receivers struct {
	key
	both[memstreamer.EventReceiver]
}

func newPair(t *rapid.T, makes func(memstreamer.Clock, time.Duration) described) *pair {
	p := &pair{clock: &Clock{yield: func() {}}}
	p.retention = rapid.SampledFrom([]time.Duration{retentionPeriod, retentionPeriod, 1, 0}).Draw(t, "retention")
	p.streamers = both[described]{makes(p.clock, p.retention), reference.New(nil, p.clock, p.retention)}
	return p
}

// agree fails where the two have not done the same.
func agree(t *rapid.T, what string, did both[string]) {
	t.Helper()
	if did[0] != did[1] {
		t.Fatalf("%s returned\n%s, and not\n%s", what, did[0], did[1])
	}
}

// try makes one call on each, which have to fail alike, or both to succeed.
func try[E any](t *rapid.T, what string, of both[E], call func(i int, on E) error) error {
	t.Helper()
	var errs both[error]
	for i, on := range of {
		errs[i] = call(i, on)
	}
	agree(t, what, both[string]{kind(errs[0]), kind(errs[1])})
	return errs[0]
}

// kind returns what the contract says of an error: not its text.
func kind(err error) string {
	for _, known := range []error{nil, memstreamer.ErrClosed, context.Canceled} {
		if errors.Is(err, known) {
			return fmt.Sprint("error ", known)
		}
	}
	return "another error"
}

func drawTopic(t *rapid.T) string { return rapid.SampledFrom(topics).Draw(t, "topic") }

func drawKey(t *rapid.T) key {
	return key{drawTopic(t), rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "name")}
}

// draw returns the place of one of what there is, and skips the action if there is
// nothing.
func draw[E any](t *rapid.T, from []E, what string) int {
	if len(from) == 0 {
		t.Skip("no " + what)
	}
	return rapid.IntRange(0, len(from)-1).Draw(t, what)
}

// OpenSender opens a sender.
func (p *pair) OpenSender(t *rapid.T) { p.openSender(t, drawTopic(t)) }

func (p *pair) openSender(t *rapid.T, topic string) (opened both[memstreamer.EventSender]) {
	_ = try(t, "NewSender", p.streamers, func(i int, s described) (err error) {
		opened[i], err = s.NewSender(t.Context(), topic)
		return err
	})
	p.senders = append(p.senders, opened)
	return opened
}

// Send sends to the topic of a sender or, by a header, to another.
func (p *pair) Send(t *rapid.T) {
	s := p.senders[draw(t, p.senders, "sender")]
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
	p.send(t, s, rapid.String().Draw(t, "foreignID"), rapid.Int().Draw(t, "type"), headers)
}

func (p *pair) send(t *rapid.T, s both[memstreamer.EventSender], foreignID string, statusType int, headers map[memstreamer.Header]string) {
	_ = try(t, "Send", s, func(_ int, s memstreamer.EventSender) error {
		own := maps.Clone(headers)
		defer clear(own)
		return s.Send(t.Context(), foreignID, statusType, own)
	})
}

// CloseSender closes a sender, or closes it again, and sends with it.
func (p *pair) CloseSender(t *rapid.T) {
	i := draw(t, p.senders, "sender")
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		_ = try(t, "Close of a sender", p.senders[i], func(_ int, s memstreamer.EventSender) error { return s.Close() })
	}
	p.send(t, p.senders[i], "", 0, nil)
	p.senders = slices.Delete(p.senders, i, i+1)
}

// OpenReceiver opens a receiver of a name that has a cursor or not.
func (p *pair) OpenReceiver(t *rapid.T) {
	p.openReceiver(t, drawKey(t), rapid.Bool().Draw(t, "latest"))
}

func (p *pair) openReceiver(t *rapid.T, k key, latest bool) {
	var opts []memstreamer.ReceiverOption
	if latest {
		opts = append(opts, memstreamer.StreamFromLatest())
	}
	opened := receivers{key: k}
	_ = try(t, "NewReceiver", p.streamers, func(i int, s described) (err error) {
		opened.both[i], err = s.NewReceiver(t.Context(), k.topic, k.name, opts...)
		return err
	})
	p.receivers = append(p.receivers, opened)
}

// CloseReceiver closes a receiver, or closes it again, and receives with it.
func (p *pair) CloseReceiver(t *rapid.T) { p.closeReceiver(t, draw(t, p.receivers, "receiver")) }

func (p *pair) closeReceiver(t *rapid.T, i int) {
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		_ = try(t, "Close of a receiver", p.receivers[i].both, func(_ int, r memstreamer.EventReceiver) error { return r.Close() })
	}
	p.recv(t, i)
	p.receivers = slices.Delete(p.receivers, i, i+1)
}

// Recv receives the event that is due, or parks until its context is done.
func (p *pair) Recv(t *rapid.T) { p.recv(t, draw(t, p.receivers, "receiver")) }

func (p *pair) recv(t *rapid.T, i int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var events both[*memstreamer.Event]
	var acks both[memstreamer.Ack]
	var errs both[error]
	var receiving sync.WaitGroup
	for i, r := range p.receivers[i].both {
		receiving.Go(func() { events[i], acks[i], errs[i] = r.Recv(ctx) })
	}
	synctest.Wait()
	p.look(t)
	cancel()
	receiving.Wait()
	var did both[string]
	for i, e := range events {
		did[i] = kind(errs[i])
		if errs[i] == nil {
			did[i] = fmt.Sprintf("%#v", *e)
			clear(e.Headers)
		}
	}
	agree(t, "Recv", did)
	if errs[0] == nil {
		p.acks = append(p.acks, acks)
	}
}

// Ack acks an event that was received at any time, by a receiver that may have
// been closed and a cursor that may have been forgotten.
func (p *pair) Ack(t *rapid.T) {
	last := len(p.acks) - 1
	ack := p.acks[last-min(last, draw(t, p.acks, "before the last"))]
	_ = try(t, "Ack", ack, func(_ int, ack memstreamer.Ack) error { return ack() })
}

// Fail has a step fail for long: it receives an event, closes, backs off while
// others send, opens again, and finds that event.
func (p *pair) Fail(t *rapid.T) {
	i := draw(t, p.receivers, "receiver")
	k := p.receivers[i].key
	s := p.openSender(t, k.topic)
	for range 3 {
		p.recv(t, i)
		p.closeReceiver(t, i)
		p.clock.step(p.retention, func(time.Duration) {})
		p.send(t, s, "", 0, nil)
		p.openReceiver(t, k, false)
		i = len(p.receivers) - 1
	}
	p.recv(t, i)
}

// Forget has a name forgotten, which may be in use or not there.
func (p *pair) Forget(t *rapid.T) {
	k := drawKey(t)
	_ = try(t, "Forget", p.streamers, func(_ int, s described) error { return s.Forget(t.Context(), k.topic, k.name) })
}

// Step steps the clock, mostly on. Nothing is looked at before the next call, which
// finds what has expired.
func (p *pair) Step(t *rapid.T) {
	d := max(p.retention, 2)
	step := rapid.SampledFrom([]time.Duration{1, d / 2, d, d + 1, 10 * d, -1, -d / 2, -3 * d}).Draw(t, "step")
	p.clock.step(step, func(time.Duration) {})
	p.stepped = true
}

// Check runs after every action.
func (p *pair) Check(t *rapid.T) {
	if !p.stepped {
		p.look(t)
	}
	p.stepped = false
}

// look compares the Stats. Which call drops what may go is a streamer's affair:
// Stats drops all of it before it counts.
func (p *pair) look(t *rapid.T) {
	agree(t, "Stats", both[string]{fmt.Sprintf("%+v", p.streamers[0].Stats()), fmt.Sprintf("%+v", p.streamers[1].Stats())})
}
