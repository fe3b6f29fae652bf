package streamertest

import (
	"context"

	"github.com/memstreamer/memstreamer"
)

// contextFaults break the contract's eighth line, contexts.
var contextFaults = []fault{
	{
		"ContextFirst", "returns an event that is there", `Recv returned event "first", not the error`,
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			if e, ack, err := r.Poll(context.Background()); err == nil {
				return e, ack, nil
			}
			return r.EventReceiver.Recv(ctx)
		}},
	},
	{
		"ContextFirst", "has Recv notice a Close first", `Recv returned the error "memstreamer: closed", not the error "context canceled"`,
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			if r.Closed() {
				return nil, nil, memstreamer.ErrClosed
			}
			return r.EventReceiver.Recv(ctx)
		}},
	},
	{
		"ContextFirst", "has Send notice a Close first", "Send after Close returned the error " + memstreamer.ErrClosed.Error(),
		hooks{Send: func(ctx context.Context, s *sender, e outgoing) error {
			if s.Closed() {
				return memstreamer.ErrClosed
			}
			return s.Pass(ctx, e)
		}},
	},
	{
		"ContextFirst", "appends what it refuses", `event "refused", not event "last"`,
		hooks{Send: func(ctx context.Context, s *sender, e outgoing) error {
			if err := s.Pass(context.Background(), e); err != nil {
				return err
			}
			return ctx.Err()
		}},
	},
	{
		"ContextFirst", "has Send ignore the context", "Send returned the error <nil>",
		hooks{Send: func(_ context.Context, s *sender, e outgoing) error {
			return s.Pass(context.Background(), e)
		}},
	},
	{
		"ContextFirst", "has NewSender ignore the context", "NewSender returned no error",
		hooks{NewSender: func(_ context.Context, s *streamer, topic string) (memstreamer.EventSender, error) {
			return s.OpenSender(context.Background(), topic)
		}},
	},
	{
		"ContextFirst", "has NewReceiver ignore the context", "NewReceiver returned no error",
		hooks{NewReceiver: func(_ context.Context, s *streamer, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			return s.OpenReceiver(context.Background(), topic, name, opts...)
		}},
	},
	{
		"ContextFirst", "returns a sender beside an error", "NewSender returned a non-nil",
		hooks{NewSender: func(ctx context.Context, s *streamer, topic string) (memstreamer.EventSender, error) {
			opened, err := s.OpenSender(ctx, topic)
			if err != nil {
				return new(sender), err
			}
			return opened, nil
		}},
	},
	{
		"CancelWakesRecv", "does not wake on cancel", "has not returned",
		parking(func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			ctx.Done()
			return r.EventReceiver.Recv(context.WithoutCancel(ctx))
		}),
	},
	{
		"CancelWakesRecv", "returns the cause", `Recv returned the error "a cause`,
		ended(func(ctx context.Context) error { return context.Cause(ctx) }),
	},
	{
		"CancelWakesRecv", "takes a deadline for a cancel", `not the error "context deadline exceeded"`,
		ended(func(context.Context) error { return context.Canceled }),
	},
	{
		"CancelWakesNoOther", "cancels all that wait", `not event "later"`,
		parking(func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			own, cancel := context.WithCancel(ctx)
			defer cancel()
			r.Streamer.Memory.Store(own, cancel)
			defer r.Streamer.Memory.Delete(own)
			e, ack, err := r.EventReceiver.Recv(own)
			if ctx.Err() != nil {
				r.Streamer.Memory.Range(func(_, cancel any) bool {
					cancel.(context.CancelFunc)()
					return true
				})
			}
			return e, ack, err
		}),
	},
	{
		"ForeignContexts", "knows the standard library's alone", "does not watch its context",
		parking(func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			if _, foreign := ctx.(*watched).Context.(*foreignContext); foreign {
				ctx = context.WithoutCancel(ctx)
			}
			return r.EventReceiver.Recv(ctx)
		}),
	},
	{
		"ForeignContexts", "returns an error of the standard library's", `Recv returned the error "context canceled"`,
		ended(func(context.Context) error { return context.Canceled }),
	},
}
