package streamertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
)

// trial is one check of one streamer. Its methods fail the test if the streamer
// breaks the contract. Unless they say otherwise, only the test's goroutine may
// call them.
type trial struct {
	testing.TB
	config

	id       string // sets this trial's topics and goroutines apart
	streamer memstreamer.EventStreamer
	closer   io.Closer // the streamer where it has a Close, else nil
}

func (t *trial) open(newStreamer func() memstreamer.EventStreamer) {
	t.Helper()
	t.streamer = newStreamer()
	if t.streamer == nil {
		t.Fatalf("newStreamer returned nil")
	}
	if closer, ok := t.streamer.(io.Closer); ok {
		t.closer = closer
		t.Cleanup(func() { _ = closer.Close() })
	}
}

// topic returns a topic of that name which no other trial uses. An empty one stays
// empty.
func (t *trial) topic(name string) string {
	if name == "" {
		return ""
	}
	return t.id + "." + name
}

// soon returns a context for one call, which ends with the deadline.
func (t *trial) soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), t.deadline)
}

func (t *trial) sender(topic string) memstreamer.EventSender {
	t.Helper()
	ctx, cancel := t.soon()
	defer cancel()
	return t.senderIn(ctx, topic)
}

func (t *trial) senderIn(ctx context.Context, topic string) memstreamer.EventSender {
	t.Helper()
	s, err := t.streamer.NewSender(ctx, t.topic(topic))
	if err != nil {
		t.Fatalf("NewSender: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (t *trial) receiver(topic, name string, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
	t.Helper()
	ctx, cancel := t.soon()
	defer cancel()
	return t.receiverIn(ctx, topic, name, opts...)
}

func (t *trial) receiverIn(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
	t.Helper()
	r, err := t.streamer.NewReceiver(ctx, t.topic(topic), name, opts...)
	if err != nil {
		t.Fatalf("NewReceiver: %v", err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// send sends an event of each foreign ID.
func (t *trial) send(s memstreamer.EventSender, foreignIDs ...string) {
	t.Helper()
	for _, foreignID := range foreignIDs {
		t.sendWith(s, foreignID, nil)
	}
}

func (t *trial) sendWith(s memstreamer.EventSender, foreignID string, headers map[memstreamer.Header]string) {
	t.Helper()
	ctx, cancel := t.soon()
	defer cancel()
	if err := s.Send(ctx, foreignID, 1, headers); err != nil {
		t.Fatalf("Send of %q: %v", foreignID, err)
	}
}

// recv returns the next event, which must be the one of that foreign ID.
func (t *trial) recv(r memstreamer.EventReceiver, foreignID string) (*memstreamer.Event, memstreamer.Ack) {
	t.Helper()
	return t.received(t.start(t.Context(), r), foreignID)
}

// take receives an event of each foreign ID, in this order, and acks it.
func (t *trial) take(r memstreamer.EventReceiver, foreignIDs ...string) {
	t.Helper()
	for _, foreignID := range foreignIDs {
		_, ack := t.recv(r, foreignID)
		t.ack(ack)
	}
}

func (t *trial) ack(acks ...memstreamer.Ack) {
	t.Helper()
	for _, ack := range acks {
		if err := ack(); err != nil {
			t.Fatalf("Ack: %v", err)
		}
	}
}

func (t *trial) close(what string, c io.Closer) {
	t.Helper()
	t.within("Close of the "+what, c.Close)
}

// within calls f, which must return nil before the deadline.
func (t *trial) within(what string, f func() error) {
	t.Helper()
	returned := make(chan error, 1)
	go func() { returned <- f() }()
	select {
	case err := <-returned:
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	case <-time.After(t.deadline):
		t.Fatalf("%s: not done after %v", what, t.deadline)
	}
}

// takeAny receives an event and acks it. Any goroutine may call it.
func takeAny(ctx context.Context, r memstreamer.EventReceiver) error {
	_, ack, err := r.Recv(ctx)
	if err != nil {
		return err
	}
	if ack == nil {
		return errors.New("neither an Ack nor an error from Recv")
	}
	return ack()
}

// call is one Recv in a goroutine of its own.
type call struct {
	ctx  *watched
	done chan struct{} // closed when Recv has returned what follows

	event *memstreamer.Event
	ack   memstreamer.Ack
	err   error
}

func (c *call) String() string {
	switch {
	case c.err != nil:
		return fmt.Sprintf("the error %q", c.err)
	case c.event == nil:
		return "no event and no error"
	case c.ack == nil:
		return fmt.Sprintf("event %q without its Ack", c.event.ForeignID)
	default:
		return fmt.Sprintf("event %q", c.event.ForeignID)
	}
}

func (t *trial) start(ctx context.Context, r memstreamer.EventReceiver) *call {
	c := &call{ctx: &watched{Context: ctx, asked: make(chan struct{})}, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.event, c.ack, c.err = r.Recv(c.ctx)
	}()
	return c
}

// watched is a context that closes asked when somebody is about to wait for its end,
// as a Recv does before it parks. Watching it takes no more goroutines than its
// parent does.
type watched struct {
	context.Context
	asked chan struct{}
	once  sync.Once
	errs  atomic.Int64
}

func (c *watched) Done() <-chan struct{} {
	c.once.Do(func() { close(c.asked) })
	return c.Context.Done()
}

// Err closes asked from the second call on: a Recv begins with the first, and one
// that polls makes more.
func (c *watched) Err() error {
	if c.errs.Add(1) > 1 {
		c.once.Do(func() { close(c.asked) })
	}
	return c.Context.Err()
}

// park starts calls of Recv that have nothing to return, and checks that they
// wait.
func (t *trial) park(ctx context.Context, receivers ...memstreamer.EventReceiver) []*call {
	t.Helper()
	calls := make([]*call, len(receivers))
	for i, r := range receivers {
		calls[i] = t.start(ctx, r)
	}
	t.parked(calls...)
	return calls
}

// parked checks that none of the calls returns for the quiet time, once all of them
// are about to wait.
func (t *trial) parked(calls ...*call) {
	t.Helper()
	for _, c := range calls {
		select {
		case <-c.ctx.asked:
		case <-c.done:
		case <-time.After(t.deadline):
			t.Fatalf("Recv with nothing to return does not watch its context")
		}
	}
	<-time.After(t.quiet)
	for _, c := range calls {
		select {
		case <-c.done:
			t.Fatalf("Recv with nothing to return did not wait: it returned %s", c)
		default:
		}
	}
}

// returned waits for the call to return. Any goroutine may call it.
func (t *trial) returned(c *call) error {
	select {
	case <-c.done:
	case <-time.After(t.deadline):
		return fmt.Errorf("after %v, Recv has not returned", t.deadline)
	}
	if c.err == nil && (c.event == nil || c.ack == nil) {
		return fmt.Errorf("what Recv returned is %s", c)
	}
	return nil
}

// received returns what the call did, which must be the event of that foreign ID.
func (t *trial) received(c *call, foreignID string) (*memstreamer.Event, memstreamer.Ack) {
	t.Helper()
	if err := t.returned(c); err != nil {
		t.Fatalf("waiting for event %q: %v", foreignID, err)
	}
	if c.err != nil || c.event.ForeignID != foreignID {
		t.Fatalf("Recv returned %s, not event %q", c, foreignID)
	}
	return c.event, c.ack
}

// got checks that each call returned the event of that foreign ID, and returns its Acks.
func (t *trial) got(foreignID string, calls ...*call) (acks []memstreamer.Ack) {
	t.Helper()
	for _, c := range calls {
		_, ack := t.received(c, foreignID)
		acks = append(acks, ack)
	}
	return acks
}

// failed checks that each call returned the error want.
func (t *trial) failed(want error, calls ...*call) {
	t.Helper()
	for _, c := range calls {
		if err := t.returned(c); err != nil {
			t.Fatalf("waiting for error %q: %v", want, err)
		}
		if !errors.Is(c.err, want) {
			t.Fatalf("Recv returned %s, not the error %q", c, want)
		}
	}
}

// is checks that what was called returned the error want.
func (t *trial) is(what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s returned the error %v, not %q", what, err, want)
	}
}

// refusedSender returns the error of a NewSender that must fail.
func (t *trial) refusedSender(ctx context.Context, topic string) error {
	t.Helper()
	s, err := t.streamer.NewSender(ctx, t.topic(topic))
	t.refused("NewSender", s != nil, err)
	return err
}

// refusedReceiver returns the error of a NewReceiver that must fail.
func (t *trial) refusedReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) error {
	t.Helper()
	r, err := t.streamer.NewReceiver(ctx, t.topic(topic), name, opts...)
	t.refused("NewReceiver", r != nil, err)
	return err
}

func (t *trial) refused(what string, made bool, err error) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s returned no error", what)
	}
	if made {
		t.Errorf("%s returned a non-nil value along with its error", what)
	}
}
