package streamertest

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/hooked"
)

// deaf has Recv notice what was closed only when it starts.
func deaf(closed func(r *receiver) bool) hooks {
	return hooks{
		Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			if closed(r) {
				return nil, nil, memstreamer.ErrClosed
			}
			return r.EventReceiver.Recv(ctx)
		},
		CloseReceiver: func(*receiver) error { return nil },
		Close:         func(*streamer) error { return nil },
	}
}

// secondTime returns an error for each Close but the first.
func secondTime(s interface{ Closes() int64 }) error {
	if s.Closes() > 1 {
		return errFault
	}
	return nil
}

// closingFaults break the contract's ninth line, Close.
var closingFaults = []fault{
	{
		"CloseIsIdempotent", "refuses a second Close of a sender", "Close of the sender: " + errFault.Error(),
		hooks{CloseSender: func(s *sender) error { return secondTime(s) }},
	},
	{
		"CloseIsIdempotent", "refuses a second Close of a receiver", "Close of the receiver: " + errFault.Error(),
		hooks{CloseReceiver: func(r *receiver) error { return secondTime(r) }},
	},
	{
		"CloseIsIdempotent", "refuses a second Close of the streamer", "Close of the streamer: " + errFault.Error(),
		hooks{Close: func(s *streamer) error { return secondTime(s) }},
	},
	{
		"CloseIsIdempotent", "refuses to close a receiver of a closed streamer", "Close of the receiver: " + errFault.Error(),
		hooks{CloseReceiver: func(r *receiver) error {
			if r.Streamer.Closed() {
				return errFault
			}
			return r.EventReceiver.Close()
		}},
	},
	{
		"ClosedReceiver", "receives after Close", `Recv returned event "first", not the error`,
		hooks{CloseReceiver: func(*receiver) error { return nil }},
	},
	{
		"ClosedReceiver", "has an error of its own for it", `Recv returned the error "the fault's own error"`,
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
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
			Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
				if _, closed := r.Streamer.Memory.Load(r.Name); closed {
					return nil, nil, memstreamer.ErrClosed
				}
				return r.EventReceiver.Recv(ctx)
			},
			CloseReceiver: func(r *receiver) error {
				r.Streamer.Memory.Store(r.Name, true)
				return r.EventReceiver.Close()
			},
		},
	},
	{
		"ClosedSender", "sends after Close", "Send after Close returned the error <nil>",
		hooks{CloseSender: func(*sender) error { return nil }},
	},
	{
		"ClosedSender", "appends what it refuses", `event "refused", not event "after"`,
		hooks{
			Send: func(ctx context.Context, s *sender, e outgoing) error {
				err := s.Pass(ctx, e)
				if err == nil && s.Closed() {
					return memstreamer.ErrClosed
				}
				return err
			},
			CloseSender: func(*sender) error { return nil },
		},
	},
	{
		"ClosedSender", "takes its events with it", `event "after", not event "before"`,
		hooks{
			Send: func(ctx context.Context, s *sender, e outgoing) error {
				s.Streamer.Memory.Store(e.ForeignID, s)
				return s.Pass(ctx, e)
			},
			Recv: hooked.Pass(func(r *receiver, e *event) bool {
				s, _ := r.Streamer.Memory.Load(e.ForeignID)
				return s.(*sender).Closed()
			}),
		},
	},
	{
		"ClosedWakesRecv", "does not wake on Close of the receiver", "has not returned",
		deaf(func(r *receiver) bool { return r.Closed() }),
	},
	{
		"ClosedWakesRecv", "wakes the other receivers of the topic", `not event "later"`,
		hooks{
			Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
				own, cancel := context.WithCancel(ctx)
				defer cancel()
				r.Streamer.Memory.Store(own, cancel)
				e, ack, err := r.EventReceiver.Recv(own)
				if err != nil && ctx.Err() == nil {
					err = memstreamer.ErrClosed
				}
				return e, ack, err
			},
			CloseReceiver: func(r *receiver) error {
				r.Streamer.Memory.Range(func(_, cancel any) bool {
					cancel.(context.CancelFunc)()
					return true
				})
				return r.EventReceiver.Close()
			},
		},
	},
	{
		"ClosedStreamer", "ignores Close", "Send returned the error <nil>",
		hooks{Close: func(*streamer) error { return nil }},
	},
	{
		"ClosedStreamer", "opens senders after Close", "NewSender returned no error",
		hooks{NewSender: func(ctx context.Context, s *streamer, topic string) (memstreamer.EventSender, error) {
			opened, err := s.OpenSender(ctx, topic)
			if errors.Is(err, memstreamer.ErrClosed) {
				return new(sender), nil
			}
			return opened, err
		}},
	},
	{
		"ClosedStreamerWakesRecv", "does not wake on Close of the streamer", "has not returned",
		deaf(func(r *receiver) bool { return r.Streamer.Closed() }),
	},
}

// refusalFaults break the tenth line, what is refused.
var refusalFaults = []fault{
	{"RefusesEmpty", "takes an empty topic for a sender", "NewSender returned no error", named(orDefault, same)},
	{
		"RefusesEmpty", "takes an empty topic for a receiver", "NewReceiver returned no error",
		hooks{NewReceiver: func(ctx context.Context, s *streamer, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			return s.OpenReceiver(ctx, orDefault(topic), name, opts...)
		}},
	},
	{"RefusesEmpty", "takes an empty name", "NewReceiver returned no error", named(same, orDefault)},
	{
		"RefusesEmpty", "passes over a nil option", "NewReceiver returned no error",
		hooks{NewReceiver: func(ctx context.Context, s *streamer, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			given := slices.DeleteFunc(slices.Clone(opts), func(opt memstreamer.ReceiverOption) bool { return opt == nil })
			return s.OpenReceiver(ctx, topic, name, given...)
		}},
	},
	{
		"RefusesEmpty", "does not say what is empty", "does not name the topic",
		hooks{NewSender: func(ctx context.Context, s *streamer, topic string) (memstreamer.EventSender, error) {
			if topic == "" {
				return nil, errors.New("invalid argument")
			}
			return s.OpenSender(ctx, topic)
		}},
	},
}

func orDefault(name string) string { return cmp.Or(name, "default") }
