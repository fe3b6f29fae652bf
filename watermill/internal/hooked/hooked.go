// Package hooked wraps a streamer so that a test of the Pub/Sub can replace what its
// calls do, to plant a fault and see it caught.
package hooked

import (
	"context"
	"sync/atomic"

	"github.com/memstreamer/memstreamer"
)

// Hooks are called in place of the wrapped streamer's calls. Where one is nil,
// the call goes through unchanged.
type Hooks struct {
	NewReceiver func(ctx context.Context, s *Streamer, topic, name string, opts []memstreamer.ReceiverOption) (memstreamer.EventReceiver, error)
	Send        func(ctx context.Context, s *Sender, e Outgoing) error
	Recv        func(ctx context.Context, r *Receiver) (*memstreamer.Event, memstreamer.Ack, error)
	Ack         func(d *Delivery) error
}

// Outgoing is what Send was given.
type Outgoing struct {
	ForeignID string
	Type      int
	Headers   map[memstreamer.Header]string
}

// Streamer is a streamer with hooks.
type Streamer struct {
	*memstreamer.StreamConstructor
	hooks Hooks
}

// Wrap returns s with hooks.
func Wrap(s *memstreamer.StreamConstructor, h Hooks) *Streamer { return &Streamer{s, h} }

// NewSender implements memstreamer.EventStreamer.
func (s *Streamer) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	inner, err := s.StreamConstructor.NewSender(ctx, topic)
	if err != nil {
		return nil, err
	}
	return &Sender{EventSender: inner, hooks: s.hooks}, nil
}

// NewReceiver implements memstreamer.EventStreamer.
func (s *Streamer) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if s.hooks.NewReceiver != nil {
		return s.hooks.NewReceiver(ctx, s, topic, name, opts)
	}
	inner, err := s.StreamConstructor.NewReceiver(ctx, topic, name, opts...)
	if err != nil {
		return nil, err
	}
	return &Receiver{EventReceiver: inner, hooks: s.hooks}, nil
}

// Sender is a sender with hooks. Its EventSender has none.
type Sender struct {
	memstreamer.EventSender
	Count atomic.Int64 // the hooks' own
	hooks Hooks
}

// Send implements memstreamer.EventSender.
func (s *Sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	e := Outgoing{foreignID, statusType, headers}
	if s.hooks.Send != nil {
		return s.hooks.Send(ctx, s, e)
	}
	return s.Pass(ctx, e)
}

// Pass is Send without its hook.
func (s *Sender) Pass(ctx context.Context, e Outgoing) error {
	return s.EventSender.Send(ctx, e.ForeignID, e.Type, e.Headers)
}

// Receiver is a receiver with hooks. Its EventReceiver has none.
type Receiver struct {
	memstreamer.EventReceiver
	Count atomic.Int64 // the hooks' own
	hooks Hooks
}

// Recv implements memstreamer.EventReceiver.
func (r *Receiver) Recv(ctx context.Context) (event *memstreamer.Event, ack memstreamer.Ack, err error) {
	if r.hooks.Recv != nil {
		event, ack, err = r.hooks.Recv(ctx, r)
	} else {
		event, ack, err = r.EventReceiver.Recv(ctx)
	}
	if err != nil || event == nil || r.hooks.Ack == nil {
		return event, ack, err
	}
	d := &Delivery{Event: *event, Commit: ack}
	return event, func() error { return r.hooks.Ack(d) }, nil
}

// Delivery is an event that Recv has returned.
type Delivery struct {
	Event  memstreamer.Event
	Commit memstreamer.Ack
	Count  atomic.Int64 // the hooks' own
}
