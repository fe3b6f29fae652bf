package streamertest

import (
	"context"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/hooked"
)

type (
	hooks    = hooked.Hooks
	streamer = hooked.Streamer
	sender   = hooked.Sender
	receiver = hooked.Receiver
	delivery = hooked.Delivery
	outgoing = hooked.Outgoing

	event   = memstreamer.Event
	ackFunc = memstreamer.Ack
	headers = map[memstreamer.Header]string
	options = []memstreamer.ReceiverOption
)

// wrap returns a streamer with hooks. What they start ends with life.
func wrap(life context.Context, h hooks) *streamer {
	s := hooked.Wrap(memstreamer.New(), h)
	s.Life = life
	return s
}

// edited changes each event that Recv returns.
func edited(edit func(r *receiver, e *event)) hooks {
	return hooks{Recv: hooked.Pass(func(r *receiver, e *event) bool {
		edit(r, e)
		return false
	})}
}

// parking changes what a Recv does that finds nothing.
func parking(park func(ctx context.Context, r *receiver) (*event, ackFunc, error)) hooks {
	return hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		// Not with ctx, so that it is park's to watch.
		e, ack, err := r.Poll(context.Background())
		if err == hooked.ErrWaits {
			return park(ctx, r)
		}
		return e, ack, err
	}}
}

// acked replaces what each Ack does.
func acked(ack func(d *delivery) error) hooks { return hooks{Ack: ack} }

// ended changes the error of a Recv whose context is done.
func ended(why func(ctx context.Context) error) hooks {
	return hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
		e, ack, err := r.EventReceiver.Recv(ctx)
		if err != nil && ctx.Err() != nil {
			err = why(ctx)
		}
		return e, ack, err
	}}
}

// opened replaces what NewReceiver does.
func opened(open func(ctx context.Context, s *streamer, topic, name string, latest bool) (memstreamer.EventReceiver, error)) hooks {
	return hooks{NewReceiver: func(ctx context.Context, s *streamer, topic, name string, opts options) (memstreamer.EventReceiver, error) {
		o, err := memstreamer.ResolveReceiverOptions(opts...)
		if err != nil {
			return nil, err
		}
		return open(ctx, s, topic, name, o.StreamFromLatest)
	}}
}

// named has topics and names of receivers go by other names.
func named(topicOf, nameOf func(string) string) hooks {
	return hooks{
		NewSender: func(ctx context.Context, s *streamer, topic string) (memstreamer.EventSender, error) {
			return s.OpenSender(ctx, topicOf(topic))
		},
		NewReceiver: func(ctx context.Context, s *streamer, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			return s.OpenReceiver(ctx, topicOf(topic), nameOf(name), opts...)
		},
	}
}

func same(name string) string { return name }
