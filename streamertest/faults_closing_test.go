package streamertest

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/memstreamer/memstreamer"
)

// deaf has Recv notice what was closed only when it starts.
func deaf(closed func(r *wrappedReceiver) bool) hooks {
	return hooks{
		recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			if closed(r) {
				return nil, nil, memstreamer.ErrClosed
			}
			return r.EventReceiver.Recv(ctx)
		},
		closeReceiver: func(*wrappedReceiver) error { return nil },
		closeStreamer: func(*wrapped) error { return nil },
	}
}

// secondTime returns an error for each Close but the first.
func secondTime(s *state) error {
	if s.closes.Load() > 1 {
		return errFault
	}
	return nil
}

// closingFaults break the contract's ninth line, Close.
var closingFaults = []fault{
	{
		"CloseIsIdempotent", "refuses a second Close of a sender", "Close of the sender: " + errFault.Error(),
		hooks{closeSender: func(s *wrappedSender) error { return secondTime(&s.state) }},
	},
	{
		"CloseIsIdempotent", "refuses a second Close of a receiver", "Close of the receiver: " + errFault.Error(),
		hooks{closeReceiver: func(r *wrappedReceiver) error { return secondTime(&r.state) }},
	},
	{
		"CloseIsIdempotent", "refuses a second Close of the streamer", "Close of the streamer: " + errFault.Error(),
		hooks{closeStreamer: func(s *wrapped) error { return secondTime(&s.state) }},
	},
	{
		"CloseIsIdempotent", "refuses to close a receiver of a closed streamer", "Close of the receiver: " + errFault.Error(),
		hooks{closeReceiver: func(r *wrappedReceiver) error {
			if r.streamer.closed() {
				return errFault
			}
			return r.EventReceiver.Close()
		}},
	},
	{
		"ClosedReceiver", "receives after Close", `Recv returned event "first", not the error`,
		hooks{closeReceiver: func(*wrappedReceiver) error { return nil }},
	},
	{
		"ClosedReceiver", "has an error of its own for it", `Recv returned the error "the fault's own error"`,
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			e, ack, err := r.EventReceiver.Recv(ctx)
			if errors.Is(err, memstreamer.ErrClosed) {
				err = errFault
			}
			return e, ack, err
		}},
	},
	{
		"ClosedReceiver", "closes all receivers of the name", `not event "first"`,
		hooks{
			recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
				if _, closed := r.streamer.memory.Load(r.name); closed {
					return nil, nil, memstreamer.ErrClosed
				}
				return r.EventReceiver.Recv(ctx)
			},
			closeReceiver: func(r *wrappedReceiver) error {
				r.streamer.memory.Store(r.name, true)
				return r.EventReceiver.Close()
			},
		},
	},
	{
		"ClosedSender", "sends after Close", "Send after Close returned the error <nil>",
		hooks{closeSender: func(*wrappedSender) error { return nil }},
	},
	{
		"ClosedSender", "appends what it refuses", `event "refused", not event "after"`,
		hooks{
			send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
				err := s.EventSender.Send(ctx, foreignID, statusType, h)
				if err == nil && s.closed() {
					return memstreamer.ErrClosed
				}
				return err
			},
			closeSender: func(*wrappedSender) error { return nil },
		},
	},
	{
		"ClosedSender", "takes its events with it", `event "after", not event "before"`,
		hooks{
			send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
				s.streamer.memory.Store(foreignID, s)
				return s.EventSender.Send(ctx, foreignID, statusType, h)
			},
			recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
				e, ack, err := r.EventReceiver.Recv(ctx)
				if err != nil {
					return nil, nil, err
				}
				if s, _ := r.streamer.memory.Load(e.ForeignID); s.(*wrappedSender).closed() {
					_ = ack()
					return r.Recv(ctx)
				}
				return e, ack, nil
			},
		},
	},
	{
		"ClosedWakesRecv", "does not wake on Close of the receiver", "has not returned",
		deaf(func(r *wrappedReceiver) bool { return r.closed() }),
	},
	{
		"ClosedWakesRecv", "wakes the other receivers of the topic", `not event "later"`,
		hooks{
			recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
				own, cancel := context.WithCancel(ctx)
				defer cancel()
				r.streamer.memory.Store(own, cancel)
				e, ack, err := r.EventReceiver.Recv(own)
				if err != nil && ctx.Err() == nil {
					err = memstreamer.ErrClosed
				}
				return e, ack, err
			},
			closeReceiver: func(r *wrappedReceiver) error {
				r.streamer.memory.Range(func(_, cancel any) bool {
					cancel.(context.CancelFunc)()
					return true
				})
				return r.EventReceiver.Close()
			},
		},
	},
	{
		"ClosedStreamer", "ignores Close", "Send returned the error <nil>",
		hooks{closeStreamer: func(*wrapped) error { return nil }},
	},
	{
		"ClosedStreamer", "opens senders after Close", "NewSender returned no error",
		hooks{newSender: func(s *wrapped, ctx context.Context, topic string) (memstreamer.EventSender, error) {
			sender, err := s.sender(ctx, topic)
			if errors.Is(err, memstreamer.ErrClosed) {
				return &wrappedSender{streamer: s, topic: topic}, nil
			}
			return sender, err
		}},
	},
	{
		"ClosedStreamerWakesRecv", "does not wake on Close of the streamer", "has not returned",
		deaf(func(r *wrappedReceiver) bool { return r.streamer.closed() }),
	},
}

// refusalFaults break the tenth line, what is refused.
var refusalFaults = []fault{
	{"RefusesEmpty", "takes an empty topic for a sender", "NewSender returned no error", named(orDefault, same)},
	{
		"RefusesEmpty", "takes an empty topic for a receiver", "NewReceiver returned no error",
		hooks{newReceiver: func(s *wrapped, ctx context.Context, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			return s.receiver(ctx, orDefault(topic), name, opts)
		}},
	},
	{"RefusesEmpty", "takes an empty name", "NewReceiver returned no error", named(same, orDefault)},
	{
		"RefusesEmpty", "passes over a nil option", "NewReceiver returned no error",
		hooks{newReceiver: func(s *wrapped, ctx context.Context, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			given := slices.DeleteFunc(slices.Clone(opts), func(opt memstreamer.ReceiverOption) bool { return opt == nil })
			return s.receiver(ctx, topic, name, given)
		}},
	},
	{
		"RefusesEmpty", "does not say what is empty", "does not name the topic",
		hooks{newSender: func(s *wrapped, ctx context.Context, topic string) (memstreamer.EventSender, error) {
			if topic == "" {
				return nil, errors.New("invalid argument")
			}
			return s.sender(ctx, topic)
		}},
	},
}

func orDefault(name string) string { return cmp.Or(name, "default") }
