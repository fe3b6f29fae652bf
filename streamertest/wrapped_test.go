package streamertest

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/memstreamer/memstreamer"
)

type (
	headers = map[memstreamer.Header]string
	options = []memstreamer.ReceiverOption
)

// hooks are what a wrapped streamer does in place of the one in it. Where a hook
// is nil, that one does it.
type hooks struct {
	newSender     func(s *wrapped, ctx context.Context, topic string) (memstreamer.EventSender, error)
	newReceiver   func(s *wrapped, ctx context.Context, topic, name string, opts options) (memstreamer.EventReceiver, error)
	closeStreamer func(s *wrapped) error

	send        func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error
	closeSender func(s *wrappedSender) error

	recv          func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error)
	ack           func(d *delivery) error
	closeReceiver func(r *wrappedReceiver) error
}

// state is what hooks know of what they are called for: how often it was closed,
// and what they keep there themselves.
type state struct {
	closes atomic.Int64
	count  atomic.Int64
	memory sync.Map
}

func (s *state) closed() bool { return s.closes.Load() > 0 }

// wrapped is a streamer around another one, faithful but for its hooks.
type wrapped struct {
	*memstreamer.StreamConstructor
	hooks hooks
	life  context.Context // of what outlives a Close, and the test must end
	state
}

func wrap(life context.Context, h hooks) *wrapped {
	return &wrapped{StreamConstructor: memstreamer.New(), hooks: h, life: life}
}

func (s *wrapped) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	if s.hooks.newSender != nil {
		return s.hooks.newSender(s, ctx, topic)
	}
	return s.sender(ctx, topic)
}

func (s *wrapped) sender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	inner, err := s.StreamConstructor.NewSender(ctx, topic)
	if err != nil {
		return nil, err
	}
	return &wrappedSender{EventSender: inner, streamer: s, topic: topic}, nil
}

func (s *wrapped) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if s.hooks.newReceiver != nil {
		return s.hooks.newReceiver(s, ctx, topic, name, opts)
	}
	return s.receiver(ctx, topic, name, opts)
}

func (s *wrapped) receiver(ctx context.Context, topic, name string, opts options) (memstreamer.EventReceiver, error) {
	inner, err := s.StreamConstructor.NewReceiver(ctx, topic, name, opts...)
	if err != nil {
		return nil, err
	}
	return &wrappedReceiver{EventReceiver: inner, streamer: s, topic: topic, name: name}, nil
}

func (s *wrapped) Close() error {
	s.closes.Add(1)
	if s.hooks.closeStreamer != nil {
		return s.hooks.closeStreamer(s)
	}
	return s.StreamConstructor.Close()
}

type wrappedSender struct {
	memstreamer.EventSender
	streamer *wrapped
	topic    string
	state
}

func (s *wrappedSender) Send(ctx context.Context, foreignID string, statusType int, h headers) error {
	if s.streamer.hooks.send != nil {
		return s.streamer.hooks.send(s, ctx, foreignID, statusType, h)
	}
	return s.EventSender.Send(ctx, foreignID, statusType, h)
}

func (s *wrappedSender) Close() error {
	s.closes.Add(1)
	if s.streamer.hooks.closeSender != nil {
		return s.streamer.hooks.closeSender(s)
	}
	return s.EventSender.Close()
}

type wrappedReceiver struct {
	memstreamer.EventReceiver
	streamer    *wrapped
	topic, name string
	state
}

func (r *wrappedReceiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	recv := r.EventReceiver.Recv
	if r.streamer.hooks.recv != nil {
		recv = func(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			return r.streamer.hooks.recv(r, ctx)
		}
	}
	event, ack, err := recv(ctx)
	if err != nil || event == nil || r.streamer.hooks.ack == nil {
		return event, ack, err
	}
	d := &delivery{receiver: r, ctx: ctx, event: *event, commit: ack}
	return event, func() error { return r.streamer.hooks.ack(d) }, nil
}

// poll is a Recv that does not wait. It returns a nil event where there is none.
func (r *wrappedReceiver) poll() (*memstreamer.Event, memstreamer.Ack) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	event, ack, _ := r.EventReceiver.Recv(impatient{ctx, cancel})
	return event, ack
}

// impatient is a context that is done as soon as somebody wants to wait for it,
// which Recv does when it has found nothing.
type impatient struct {
	context.Context
	cancel context.CancelFunc
}

func (c impatient) Done() <-chan struct{} {
	c.cancel()
	return c.Context.Done()
}

func (r *wrappedReceiver) Close() error {
	r.closes.Add(1)
	if r.streamer.hooks.closeReceiver != nil {
		return r.streamer.hooks.closeReceiver(r)
	}
	return r.EventReceiver.Close()
}

// delivery is an event that was delivered, as an ack hook gets it.
type delivery struct {
	receiver *wrappedReceiver
	ctx      context.Context // of the Recv
	event    memstreamer.Event
	commit   memstreamer.Ack
	state
}
