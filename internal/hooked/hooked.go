// Package hooked wraps a streamer so that a test can replace what its calls do,
// to plant a fault and see it caught.
package hooked

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/memstreamer/memstreamer"
)

// Hooks are called in place of the wrapped streamer's calls. Where one is nil,
// the call goes through unchanged.
type Hooks struct {
	NewSender   func(ctx context.Context, s *Streamer, topic string) (memstreamer.EventSender, error)
	NewReceiver func(ctx context.Context, s *Streamer, topic, name string, opts []memstreamer.ReceiverOption) (memstreamer.EventReceiver, error)
	Close       func(s *Streamer) error

	Send        func(ctx context.Context, s *Sender, e Outgoing) error
	CloseSender func(s *Sender) error

	Recv          func(ctx context.Context, r *Receiver) (*memstreamer.Event, memstreamer.Ack, error)
	Ack           func(d *Delivery) error
	CloseReceiver func(r *Receiver) error
}

// Outgoing is what Send was given.
type Outgoing struct {
	ForeignID string
	Type      int
	Headers   map[memstreamer.Header]string
}

// state is what hooks may know of, and keep with, whatever they are called on.
type state struct {
	Memory sync.Map // the hooks' own
	Count  atomic.Int64

	closes atomic.Int64
	done   chan struct{}
}

func newState() *state { return &state{done: make(chan struct{})} }

func (s *state) close() {
	if s.closes.Add(1) == 1 {
		close(s.done)
	}
}

// Closes returns how often Close was called. A hook counts its own call.
func (s *state) Closes() int64 { return s.closes.Load() }

// Closed reports whether Close was called.
func (s *state) Closed() bool { return s.Closes() > 0 }

// Done returns a channel that the first Close closes.
func (s *state) Done() <-chan struct{} { return s.done }

// Streamer is a streamer with hooks.
type Streamer struct {
	*memstreamer.StreamConstructor
	*state
	Life  context.Context // the test's own: what its hooks start ends with it
	hooks Hooks
}

// Wrap returns s with hooks.
func Wrap(s *memstreamer.StreamConstructor, h Hooks) *Streamer {
	return &Streamer{StreamConstructor: s, state: newState(), hooks: h}
}

// NewSender implements memstreamer.EventStreamer.
func (s *Streamer) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	if s.hooks.NewSender != nil {
		return s.hooks.NewSender(ctx, s, topic)
	}
	return s.OpenSender(ctx, topic)
}

// OpenSender is NewSender without its hook.
func (s *Streamer) OpenSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	inner, err := s.StreamConstructor.NewSender(ctx, topic)
	if err != nil {
		return nil, err
	}
	return &Sender{EventSender: inner, state: newState(), Streamer: s, Topic: topic}, nil
}

// NewReceiver implements memstreamer.EventStreamer.
func (s *Streamer) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if s.hooks.NewReceiver != nil {
		return s.hooks.NewReceiver(ctx, s, topic, name, opts)
	}
	return s.OpenReceiver(ctx, topic, name, opts...)
}

// OpenReceiver is NewReceiver without its hook. What it returns is a *Receiver.
func (s *Streamer) OpenReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	inner, err := s.StreamConstructor.NewReceiver(ctx, topic, name, opts...)
	if err != nil {
		return nil, err
	}
	return &Receiver{EventReceiver: inner, state: newState(), Streamer: s, Topic: topic, Name: name}, nil
}

// Close closes the streamer.
func (s *Streamer) Close() error {
	s.state.close()
	if s.hooks.Close != nil {
		return s.hooks.Close(s)
	}
	return s.StreamConstructor.Close()
}

// Sender is a sender with hooks. Its EventSender has none.
type Sender struct {
	memstreamer.EventSender
	*state
	Streamer *Streamer
	Topic    string
}

// Send implements memstreamer.EventSender.
func (s *Sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	e := Outgoing{foreignID, statusType, headers}
	if s.Streamer.hooks.Send != nil {
		return s.Streamer.hooks.Send(ctx, s, e)
	}
	return s.Pass(ctx, e)
}

// Pass is Send without its hook.
func (s *Sender) Pass(ctx context.Context, e Outgoing) error {
	return s.EventSender.Send(ctx, e.ForeignID, e.Type, e.Headers)
}

// TopicOf returns the topic that e goes to if s sends it.
func (s *Sender) TopicOf(e Outgoing) string {
	if topic := e.Headers[memstreamer.HeaderTopic]; topic != "" {
		return topic
	}
	return s.Topic
}

// Usable reports whether a Send could succeed.
func (s *Sender) Usable(ctx context.Context) bool {
	return ctx.Err() == nil && !s.Closed() && !s.Streamer.Closed()
}

// Close implements memstreamer.EventSender.
func (s *Sender) Close() error {
	s.state.close()
	if s.Streamer.hooks.CloseSender != nil {
		return s.Streamer.hooks.CloseSender(s)
	}
	return s.EventSender.Close()
}

// Receiver is a receiver with hooks. Its EventReceiver has none.
type Receiver struct {
	memstreamer.EventReceiver
	*state
	Streamer    *Streamer
	Topic, Name string
}

// Recv implements memstreamer.EventReceiver.
func (r *Receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	hooks := r.Streamer.hooks
	recv := hooks.Recv
	if recv == nil {
		recv = func(ctx context.Context, r *Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
			return r.EventReceiver.Recv(ctx)
		}
	}
	event, ack, err := recv(ctx, r)
	if err != nil || event == nil || hooks.Ack == nil {
		return event, ack, err
	}
	d := &Delivery{Receiver: r, Context: ctx, Event: *event, Commit: ack}
	return event, func() error { return hooks.Ack(d) }, nil
}

// Usable reports whether a Recv could succeed.
func (r *Receiver) Usable(ctx context.Context) bool {
	return ctx.Err() == nil && !r.Closed() && !r.Streamer.Closed()
}

// ErrWaits is Poll's error where Recv would wait.
var ErrWaits = errors.New("hooked: no event yet")

// Poll is Recv without its hook, but for failing with ErrWaits where that would
// wait.
func (r *Receiver) Poll(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	event, ack, err := r.EventReceiver.Recv(impatient{own, cancel})
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		err = ErrWaits
	}
	return event, ack, err
}

// impatient is a context that ends as soon as somebody wants to wait for it,
// which Recv does when it has found nothing.
type impatient struct {
	context.Context
	cancel context.CancelFunc
}

func (c impatient) Done() <-chan struct{} {
	c.cancel()
	return c.Context.Done()
}

// Close implements memstreamer.EventReceiver.
func (r *Receiver) Close() error {
	r.state.close()
	if r.Streamer.hooks.CloseReceiver != nil {
		return r.Streamer.hooks.CloseReceiver(r)
	}
	return r.EventReceiver.Close()
}

// Delivery is an event that Recv has returned.
type Delivery struct {
	Receiver *Receiver
	Context  context.Context // of the Recv
	Event    memstreamer.Event
	Commit   memstreamer.Ack
	Count    atomic.Int64 // the hook's own
}

// Pass returns a hook of Recv that passes over, and acks, each event for which
// over is true.
func Pass(over func(r *Receiver, e *memstreamer.Event) bool) func(context.Context, *Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
	return func(ctx context.Context, r *Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
		for {
			event, ack, err := r.EventReceiver.Recv(ctx)
			if err != nil || !over(r, event) {
				return event, ack, err
			}
			if err := ack(); err != nil {
				return nil, nil, err
			}
		}
	}
}
