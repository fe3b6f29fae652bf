package streamertest

import (
	"context"
	"errors"
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
	s, r := t.sender("orders"), t.receiver("orders", "a")
	closedSender, closedReceiver := t.sender("orders"), t.receiver("orders", "a")
	t.close("sender", closedSender)
	t.close("receiver", closedReceiver)
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()

	t.send(s, "first")
	for _, ctx := range []context.Context{t.cancelled(), expired, foreignContext{t.cancelled()}} {
		t.is("NewSender", t.refusedSender(ctx, "orders"), ctx.Err())
		t.is("NewReceiver", t.refusedReceiver(ctx, "orders", "a"), ctx.Err())
		t.is("Send", s.Send(ctx, "refused", 1, nil), ctx.Err())
		t.failed(ctx.Err(), t.start(ctx, r))
		t.is("Send after Close", closedSender.Send(ctx, "refused", 1, nil), ctx.Err())
		t.failed(ctx.Err(), t.start(ctx, closedReceiver))
	}
	t.send(s, "last")
	t.take(r, "first", "last")
}

func cancelWakesRecv(t *trial) {
	s, r := t.sender("orders"), t.receiver("orders", "a")
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
	t.failed(context.Canceled, calls...)

	expiring, cancel := context.WithTimeout(t.Context(), t.quiet)
	defer cancel()
	t.failed(context.DeadlineExceeded, t.start(expiring, r))

	t.send(s, "first")
	t.take(r, "first")
}

// cancelWakesNoOther cancels one Recv of several that wait. Each of the others
// returns once only, and that has to be for the event which comes later.
func cancelWakesNoOther(t *trial) {
	s, r := t.sender("orders"), t.receiver("orders", "a")
	calls := t.park(t.Context(),
		r, r, t.receiver("orders", "a"), t.receiver("orders", "b"), t.receiver("invoices", "a"))
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		c := t.park(ctx, r)[0]
		cancel()
		t.failed(context.Canceled, c)
	}
	t.send(s, "later")
	t.send(t.sender("invoices"), "later")
	t.got("later", calls...)
}

// foreignContexts has all calls get a context of another kind.
func foreignContexts(t *trial) {
	inner, cancel := context.WithCancel(t.Context())
	defer cancel()
	ctx := foreignContext{inner}
	s, r := t.senderIn(ctx, "orders"), t.receiverIn(ctx, "orders", "a")

	calls := t.park(ctx, r, t.receiver("orders", "b"))
	if err := s.Send(ctx, "first", 1, nil); err != nil {
		t.Fatalf("Send: %v", err)
	}
	t.ack(t.got("first", calls...)...)
	calls = t.park(ctx, r, t.receiver("orders", "b"))
	cancel()
	t.failed(errForeign, calls...)

	t.send(s, "second")
	t.ack(t.got("second", t.start(context.Background(), r))...)
}

var errForeign = errors.New("the end of a context that is not the standard library's")

// foreignContext is done with another context, and hides what the standard library
// would know that by.
type foreignContext struct{ inner context.Context }

func (foreignContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (foreignContext) Value(any) any               { return nil }
func (c foreignContext) Done() <-chan struct{}     { return c.inner.Done() }

func (c foreignContext) Err() error {
	if c.inner.Err() != nil {
		return errForeign
	}
	return nil
}
