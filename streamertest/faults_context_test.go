package streamertest

import (
	"context"

	"github.com/memstreamer/memstreamer"
)

// ended changes the error of a Recv whose context is done.
func ended(why func(ctx context.Context) error) hooks {
	return hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
		e, ack, err := r.EventReceiver.Recv(ctx)
		if err != nil && ctx.Err() != nil {
			err = why(ctx)
		}
		return e, ack, err
	}}
}

// contextFaults break the contract's eighth line, contexts.
var contextFaults = []fault{
	{
		"ContextFirst", "returns an event that is there", `Recv returned event "first", not the error`,
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			if e, ack := r.poll(); e != nil {
				return e, ack, nil
			}
			return r.EventReceiver.Recv(ctx)
		}},
	},
	{
		"ContextFirst", "has Recv notice a Close first", `Recv returned the error "memstreamer: closed", not the error "context canceled"`,
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			if r.closed() {
				return nil, nil, memstreamer.ErrClosed
			}
			return r.EventReceiver.Recv(ctx)
		}},
	},
	{
		"ContextFirst", "has Send notice a Close first", "Send after Close returned the error " + memstreamer.ErrClosed.Error(),
		hooks{send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
			if s.closed() {
				return memstreamer.ErrClosed
			}
			return s.EventSender.Send(ctx, foreignID, statusType, h)
		}},
	},
	{
		"ContextFirst", "appends what it refuses", `event "refused", not event "last"`,
		hooks{send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
			if err := s.EventSender.Send(context.Background(), foreignID, statusType, h); err != nil {
				return err
			}
			return ctx.Err()
		}},
	},
	{
		"ContextFirst", "has Send ignore the context", "Send returned the error <nil>",
		hooks{send: func(s *wrappedSender, _ context.Context, foreignID string, statusType int, h headers) error {
			return s.EventSender.Send(context.Background(), foreignID, statusType, h)
		}},
	},
	{
		"ContextFirst", "has NewSender ignore the context", "NewSender returned no error",
		hooks{newSender: func(s *wrapped, _ context.Context, topic string) (memstreamer.EventSender, error) {
			return s.sender(context.Background(), topic)
		}},
	},
	{
		"ContextFirst", "has NewReceiver ignore the context", "NewReceiver returned no error",
		hooks{newReceiver: func(s *wrapped, _ context.Context, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			return s.receiver(context.Background(), topic, name, opts)
		}},
	},
	{
		"ContextFirst", "returns a sender beside an error", "NewSender returned something",
		hooks{newSender: func(s *wrapped, ctx context.Context, topic string) (memstreamer.EventSender, error) {
			sender, err := s.sender(ctx, topic)
			if err != nil {
				return &wrappedSender{}, err
			}
			return sender, nil
		}},
	},
	{
		"CancelWakesRecv", "does not wake on cancel", "has not returned",
		parking(func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
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
		parking(func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			own, cancel := context.WithCancel(ctx)
			defer cancel()
			r.streamer.memory.Store(own, cancel)
			defer r.streamer.memory.Delete(own)
			e, ack, err := r.EventReceiver.Recv(own)
			if ctx.Err() != nil {
				r.streamer.memory.Range(func(_, cancel any) bool {
					cancel.(context.CancelFunc)()
					return true
				})
			}
			return e, ack, err
		}),
	},
	{
		"ForeignContexts", "knows the standard library's alone", "does not watch its context",
		parking(func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
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
