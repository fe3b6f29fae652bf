package streamertest

import (
	"context"
	"errors"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/hooked"
)

var errFault = errors.New("the fault's own error")

// remembering keeps the Ack of what a receiver delivered last.
func remembering(ctx context.Context, r *receiver) (*event, ackFunc, error) {
	e, ack, err := r.EventReceiver.Recv(ctx)
	if err == nil {
		r.Memory.Store("ack", ack)
	}
	return e, ack, err
}

// ackRemembered calls that Ack.
func ackRemembered(r *receiver) {
	if ack, delivered := r.Memory.Load("ack"); delivered {
		_ = ack.(memstreamer.Ack)()
	}
}

// deliveryFaults break the contract's second line, at least once.
var deliveryFaults = []fault{
	{
		"AtLeastOnce", "acks what it delivers", `not event "first"`,
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			defer ackRemembered(r)
			return remembering(ctx, r)
		}},
	},
	{
		"AtLeastOnce", "acks an event when the next is asked for", `not event "first"`,
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			ackRemembered(r)
			return remembering(ctx, r)
		}},
	},
	{
		"AtLeastOnce", "delivers one *Event again", "not a fresh copy",
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			e, ack, err := r.EventReceiver.Recv(ctx)
			if err != nil {
				return nil, nil, err
			}
			first, _ := r.Memory.LoadOrStore(e.ID, e)
			return first.(*memstreamer.Event), ack, nil
		}},
	},
	{
		"UnackedGoesToNextReceiver", "acks on Close", `not event "first"`,
		hooks{Recv: remembering, CloseReceiver: func(r *receiver) error {
			ackRemembered(r)
			return r.EventReceiver.Close()
		}},
	},
	{
		"FailingStep", "gives up after ten deliveries", `not event "first"`,
		hooks{Recv: hooked.Pass(func(r *receiver, _ *event) bool {
			return r.Name == "step" && r.Streamer.Count.Add(1) == 11
		})},
	},
	{
		"FailingStep", "keeps nothing for a closed receiver", `not event "first"`,
		hooks{
			NewReceiver: func(ctx context.Context, s *streamer, topic, name string, opts options) (memstreamer.EventReceiver, error) {
				r, err := s.OpenReceiver(ctx, topic, name, opts...)
				if acked, any := s.Memory.Load("acked"); err == nil && any {
					r.(*receiver).Memory.Store("gone", acked)
				}
				return r, err
			},
			Recv: hooked.Pass(func(r *receiver, e *event) bool {
				gone, any := r.Memory.Load("gone")
				return any && e.ID <= gone.(int64)
			}),
			Ack: func(d *delivery) error {
				d.Receiver.Streamer.Memory.Store("acked", d.Event.ID)
				return d.Commit()
			},
		},
	},
	{
		"CancelledRecvLosesNothing", "delivers to a Recv that has given up", "has not returned",
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			e, ack, err := r.EventReceiver.Recv(ctx)
			if err != nil {
				r.Memory.Store("given up", true)
				return nil, nil, err
			}
			if _, lost := r.Memory.LoadAndDelete("given up"); lost {
				_ = ack()
				return r.Recv(ctx)
			}
			return e, ack, nil
		}},
	},
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
			if d.Count.Add(1) > 1 {
				return errFault
			}
			return d.Commit()
		}),
	},
	{
		"AckIsIdempotent", "moves on by one with each Ack", `event "third", not event "second"`,
		acked(func(d *delivery) error {
			if d.Count.Add(1) > 1 {
				_, ack, _ := d.Receiver.Poll(context.Background())
				return ack()
			}
			return d.Commit()
		}),
	},
	{
		"AckFromAnyGoroutine", "refuses an Ack beside another", "from one of 8 goroutines",
		acked(func(d *delivery) error {
			if !d.Count.CompareAndSwap(0, 1) {
				return errFault
			}
			defer d.Count.Store(0)
			time.Sleep(10 * time.Millisecond)
			return d.Commit()
		}),
	},
	{
		"AckAfterContext", "refuses an Ack after the context", context.Canceled.Error(),
		acked(func(d *delivery) error {
			if err := d.Context.Err(); err != nil {
				return err
			}
			return d.Commit()
		}),
	},
	{
		"AckAfterContext", "ignores an Ack after the context", `not event "second"`,
		acked(func(d *delivery) error {
			if d.Context.Err() != nil {
				return nil
			}
			return d.Commit()
		}),
	},
	{
		"AckAfterClose", "refuses an Ack after the receiver's Close", memstreamer.ErrClosed.Error(),
		acked(func(d *delivery) error {
			if d.Receiver.Closed() {
				return memstreamer.ErrClosed
			}
			return d.Commit()
		}),
	},
	{
		"AckAfterClose", "ignores an Ack after the receiver's Close", `not event "second"`,
		acked(func(d *delivery) error {
			if d.Receiver.Closed() {
				return nil
			}
			return d.Commit()
		}),
	},
	{
		"AckAfterClose", "refuses an Ack after the streamer's Close", memstreamer.ErrClosed.Error(),
		acked(func(d *delivery) error {
			if d.Receiver.Streamer.Closed() {
				return memstreamer.ErrClosed
			}
			return d.Commit()
		}),
	},
	{
		"LateAckChangesNothing", "refuses a late Ack", errFault.Error(),
		acked(func(d *delivery) error {
			newest, _ := d.Receiver.Streamer.Memory.LoadOrStore("newest", d.Event.ID)
			if d.Event.ID < newest.(int64) {
				return errFault
			}
			d.Receiver.Streamer.Memory.Store("newest", d.Event.ID)
			return d.Commit()
		}),
	},
	{
		"LateAckChangesNothing", "goes back for a late Ack", `event "second", not event "third"`,
		hooks{
			Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
				if again, back := r.Streamer.Memory.Load("again"); back {
					e := again.(memstreamer.Event)
					return &e, func() error { return nil }, nil
				}
				return r.EventReceiver.Recv(ctx)
			},
			// It goes back to the event that was acked last, which is far enough.
			Ack: func(d *delivery) error {
				newest, acked := d.Receiver.Streamer.Memory.Load("newest")
				if acked && d.Event.ID < newest.(memstreamer.Event).ID {
					d.Receiver.Streamer.Memory.Store("again", newest)
					return nil
				}
				d.Receiver.Streamer.Memory.Store("newest", d.Event)
				return d.Commit()
			},
		},
	},
}
