package streamertest

import (
	"context"
	"errors"
	"time"

	"github.com/memstreamer/memstreamer"
)

var errFault = errors.New("the fault's own error")

// remembering keeps the Ack of what a receiver delivered last.
func remembering(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	e, ack, err := r.EventReceiver.Recv(ctx)
	if err == nil {
		r.memory.Store("ack", ack)
	}
	return e, ack, err
}

// ackRemembered calls that Ack.
func ackRemembered(r *wrappedReceiver) {
	if ack, delivered := r.memory.Load("ack"); delivered {
		_ = ack.(memstreamer.Ack)()
	}
}

// deliveryFaults break the contract's second line, at least once.
var deliveryFaults = []fault{
	{
		"AtLeastOnce", "acks what it delivers", `not event "first"`,
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			defer ackRemembered(r)
			return remembering(r, ctx)
		}},
	},
	{
		"AtLeastOnce", "acks an event when the next is asked for", `not event "first"`,
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			ackRemembered(r)
			return remembering(r, ctx)
		}},
	},
	{
		"AtLeastOnce", "delivers one *Event again", "not a fresh copy",
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			e, ack, err := r.EventReceiver.Recv(ctx)
			if err != nil {
				return nil, nil, err
			}
			first, _ := r.memory.LoadOrStore(e.ID, e)
			return first.(*memstreamer.Event), ack, nil
		}},
	},
	{
		"UnackedGoesToNextReceiver", "acks on Close", `not event "first"`,
		hooks{recv: remembering, closeReceiver: func(r *wrappedReceiver) error {
			ackRemembered(r)
			return r.EventReceiver.Close()
		}},
	},
	{
		"CancelledRecvLosesNothing", "delivers to a Recv that has given up", "has not returned",
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			e, ack, err := r.EventReceiver.Recv(ctx)
			if err != nil {
				r.memory.Store("given up", true)
				return nil, nil, err
			}
			if _, lost := r.memory.LoadAndDelete("given up"); lost {
				_ = ack()
				return r.Recv(ctx)
			}
			return e, ack, nil
		}},
	},
}

// acked replaces what each Ack does.
func acked(ack func(d *delivery) error) hooks {
	return hooks{ack: ack}
}

// ackFaults break the third line, the Ack.
var ackFaults = []fault{
	{
		"AckCommits", "does not commit", `not event "second"`,
		acked(func(*delivery) error { return nil }),
	},
	{
		"AckIsIdempotent", "refuses a second Ack", errFault.Error(),
		acked(func(d *delivery) error {
			if d.count.Add(1) > 1 {
				return errFault
			}
			return d.commit()
		}),
	},
	{
		"AckIsIdempotent", "moves on by one with each Ack", `event "third", not event "second"`,
		acked(func(d *delivery) error {
			if d.count.Add(1) > 1 {
				_, ack := d.receiver.poll()
				return ack()
			}
			return d.commit()
		}),
	},
	{
		"AckFromAnyGoroutine", "refuses an Ack beside another", "from one of 8 goroutines",
		acked(func(d *delivery) error {
			if !d.count.CompareAndSwap(0, 1) {
				return errFault
			}
			defer d.count.Store(0)
			time.Sleep(10 * time.Millisecond)
			return d.commit()
		}),
	},
	{
		"AckAfterContext", "refuses an Ack after the context", context.Canceled.Error(),
		acked(func(d *delivery) error {
			if err := d.ctx.Err(); err != nil {
				return err
			}
			return d.commit()
		}),
	},
	{
		"AckAfterContext", "ignores an Ack after the context", `not event "second"`,
		acked(func(d *delivery) error {
			if d.ctx.Err() != nil {
				return nil
			}
			return d.commit()
		}),
	},
	{
		"AckAfterClose", "refuses an Ack after the receiver's Close", memstreamer.ErrClosed.Error(),
		acked(func(d *delivery) error {
			if d.receiver.closed() {
				return memstreamer.ErrClosed
			}
			return d.commit()
		}),
	},
	{
		"AckAfterClose", "ignores an Ack after the receiver's Close", `not event "second"`,
		acked(func(d *delivery) error {
			if d.receiver.closed() {
				return nil
			}
			return d.commit()
		}),
	},
	{
		"AckAfterClose", "refuses an Ack after the streamer's Close", memstreamer.ErrClosed.Error(),
		acked(func(d *delivery) error {
			if d.receiver.streamer.closed() {
				return memstreamer.ErrClosed
			}
			return d.commit()
		}),
	},
	{
		"LateAckChangesNothing", "refuses a late Ack", errFault.Error(),
		acked(func(d *delivery) error {
			newest, _ := d.receiver.streamer.memory.LoadOrStore("newest", d.event.ID)
			if d.event.ID < newest.(int64) {
				return errFault
			}
			d.receiver.streamer.memory.Store("newest", d.event.ID)
			return d.commit()
		}),
	},
	{
		"LateAckChangesNothing", "goes back for a late Ack", `event "second", not event "third"`,
		hooks{
			recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
				if again, back := r.streamer.memory.Load("again"); back {
					e := again.(memstreamer.Event)
					return &e, func() error { return nil }, nil
				}
				return r.EventReceiver.Recv(ctx)
			},
			// It goes back to the event that was acked last, which is far enough.
			ack: func(d *delivery) error {
				newest, acked := d.receiver.streamer.memory.Load("newest")
				if acked && d.event.ID < newest.(memstreamer.Event).ID {
					d.receiver.streamer.memory.Store("again", newest)
					return nil
				}
				d.receiver.streamer.memory.Store("newest", d.event)
				return d.commit()
			},
		},
	},
}
