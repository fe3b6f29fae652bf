package streamertest

import (
	"context"
	"errors"
	"sync"
	"time"
)

// cancelled returns a context that was cancelled.
func (t *trial) cancelled() context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// contextFirst calls with contexts that are done, while there are events, and
// after Close. What such a Send might have appended would come before the event
// that is sent last.
func contextFirst(t *trial) {
	topic := t.topic("orders")
	s, r := t.sender(topic), t.receiver(topic, "a")
	closedSender, closedReceiver := t.sender(topic), t.receiver(topic, "a")
	t.close("sender", closedSender)
	t.close("receiver", closedReceiver)
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()

	t.send(s, "first")
	for _, ctx := range []context.Context{t.cancelled(), expired, newForeignContext(errForeign)} {
		t.is("NewSender", t.refusedSender(ctx, topic), ctx.Err())
		t.is("NewReceiver", t.refusedReceiver(ctx, topic, "a"), ctx.Err())
		t.is("Send", s.Send(ctx, "refused", 1, nil), ctx.Err())
		t.failed(t.start(ctx, r), ctx.Err())
		t.is("Send after Close", closedSender.Send(ctx, "refused", 1, nil), ctx.Err())
		t.failed(t.start(ctx, closedReceiver), ctx.Err())
	}
	t.send(s, "last")
	t.take(r, "first", "last")
}

func cancelWakesRecv(t *trial) {
	topic := t.topic("orders")
	s, r := t.sender(topic), t.receiver(topic, "a")
	parent, cancelParent := context.WithCancel(t.Context())
	defer cancelParent()
	child, cancelChild := context.WithCancel(context.WithValue(parent, t, "a child"))
	defer cancelChild()
	caused, cancelCaused := context.WithCancelCause(t.Context())
	defer cancelCaused(nil)

	calls := []*call{t.start(parent, r), t.start(child, r), t.start(caused, r)}
	t.parked(calls...)
	cancelParent()
	cancelCaused(errors.New("a cause, which is not the context's error"))
	for _, c := range calls {
		t.failed(c, context.Canceled)
	}

	expiring, cancel := context.WithTimeout(t.Context(), t.quiet)
	defer cancel()
	t.failed(t.start(expiring, r), context.DeadlineExceeded)

	t.send(s, "first")
	t.take(r, "first")
}

// cancelWakesNoOther cancels one Recv of several that wait. Each of the others
// returns once only, and that has to be for the event which comes later.
func cancelWakesNoOther(t *trial) {
	topic := t.topic("orders")
	s, r := t.sender(topic), t.receiver(topic, "a")
	elsewhere := t.topic("invoices")
	calls := t.park(t.Context(),
		r, r, t.receiver(topic, "a"), t.receiver(topic, "b"), t.receiver(elsewhere, "a"))
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		c := t.park(ctx, r)[0]
		cancel()
		t.failed(c, context.Canceled)
	}
	t.send(s, "later")
	t.send(t.sender(elsewhere), "later")
	for _, c := range calls {
		t.received(c, "later")
	}
}

func foreignContexts(t *trial) {
	topic := t.topic("orders")
	ctx := newForeignContext(nil)
	s, err := t.streamer.NewSender(ctx, topic)
	if err != nil {
		t.Fatalf("NewSender: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	r, err := t.streamer.NewReceiver(ctx, topic, "a")
	if err != nil {
		t.Fatalf("NewReceiver: %v", err)
	}
	t.Cleanup(func() { _ = r.Close() })

	calls := t.park(ctx, r, t.receiver(topic, "b"))
	if err := s.Send(ctx, "first", 1, nil); err != nil {
		t.Fatalf("Send: %v", err)
	}
	for _, c := range calls {
		_, ack := t.received(c, "first")
		t.ack(ack)
	}
	calls = t.park(ctx, r, t.receiver(topic, "b"))
	ctx.end(errForeign)
	for _, c := range calls {
		t.failed(c, errForeign)
	}

	t.send(s, "second")
	_, ack := t.received(t.start(context.Background(), r), "second")
	t.ack(ack)
}

var errForeign = errors.New("the end of a context that is not the standard library's")

// foreignContext is a context that shares nothing with the standard library's.
type foreignContext struct {
	done chan struct{}

	mu  sync.Mutex
	err error
}

// newForeignContext returns a context that is done where err is not nil.
func newForeignContext(err error) *foreignContext {
	ctx := &foreignContext{done: make(chan struct{})}
	if err != nil {
		ctx.end(err)
	}
	return ctx
}

func (c *foreignContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	close(c.done)
}

func (c *foreignContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *foreignContext) Done() <-chan struct{}       { return c.done }
func (c *foreignContext) Value(any) any               { return nil }

func (c *foreignContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
