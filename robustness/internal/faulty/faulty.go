// Package faulty wraps a streamer so that it has one fault, to see whether a
// check finds it.
package faulty

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/memstreamer/memstreamer"
)

// Streamer is a streamer with a fault.
type Streamer interface {
	memstreamer.EventStreamer
	Close() error
	Stats() memstreamer.Stats
}

// Fault is one fault, of any number of streamers.
type Fault struct {
	Name string

	wrap   func(*wrapper)
	chance atomic.Int64
	fired  atomic.Int64
}

// All returns every fault there is.
func All() []*Fault {
	return []*Fault{
		{Name: "drops one event in a thousand", wrap: dropEvents},
		{Name: "rewinds on a late ack", wrap: rewindOnLateAck},
		{Name: "loses a wake-up now and then", wrap: loseWakeUps},
		{Name: "shares a cursor between topics", wrap: shareCursors},
		{Name: "trims one event too early", wrap: trimEarly},
		{Name: "reorders two neighbours", wrap: reorder},
	}
}

// Wrap returns s with the fault.
func (f *Fault) Wrap(s *memstreamer.StreamConstructor) Streamer {
	w := &wrapper{StreamConstructor: s, fault: f, done: make(chan struct{})}
	w.send = func(ctx context.Context, s *sender, e outgoing) error { return s.pass(ctx, e) }
	w.recv = func(ctx context.Context, r *receiver) (*memstreamer.Event, memstreamer.Ack, error) {
		return r.EventReceiver.Recv(ctx)
	}
	w.closing = func(*sender) {}
	f.wrap(w)
	return w
}

// Fired returns how often the fault has shown.
func (f *Fault) Fired() int64 { return f.fired.Load() }

// every tells, in one call of n, that it is time for the fault.
func (f *Fault) every(n int64) bool { return f.chance.Add(1)%n == 0 }

// wrapper is a streamer whose Send and Recv do as a fault has them do.
type wrapper struct {
	*memstreamer.StreamConstructor
	fault *Fault
	once  sync.Once
	done  chan struct{} // closed with the streamer

	mu      sync.Mutex // for what a fault keeps; not held during calls of the streamer
	send    func(context.Context, *sender, outgoing) error
	closing func(*sender)
	recv    func(context.Context, *receiver) (*memstreamer.Event, memstreamer.Ack, error)
}

func (w *wrapper) Close() error {
	w.once.Do(func() { close(w.done) })
	return w.StreamConstructor.Close()
}

func (w *wrapper) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	inner, err := w.StreamConstructor.NewSender(ctx, topic)
	if err != nil {
		return nil, err
	}
	return &sender{EventSender: inner, wrapper: w, topic: topic, done: make(chan struct{})}, nil
}

func (w *wrapper) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	inner, err := w.StreamConstructor.NewReceiver(ctx, topic, name, opts...)
	if err != nil {
		return nil, err
	}
	return &receiver{EventReceiver: inner, wrapper: w, cursor: cursor{topic, name}, done: make(chan struct{})}, nil
}

// cursor is what a streamer has one cursor for.
type cursor struct{ topic, name string }

type sender struct {
	memstreamer.EventSender
	wrapper *wrapper
	topic   string
	once    sync.Once
	done    chan struct{}
}

// outgoing is what Send is given.
type outgoing struct {
	foreignID  string
	statusType int
	headers    map[memstreamer.Header]string
}

func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	return s.wrapper.send(ctx, s, outgoing{foreignID, statusType, headers})
}

// pass sends e as it should be.
func (s *sender) pass(ctx context.Context, e outgoing) error {
	return s.EventSender.Send(ctx, e.foreignID, e.statusType, e.headers)
}

func (s *sender) Close() error {
	s.once.Do(func() {
		s.wrapper.closing(s)
		close(s.done)
	})
	return s.EventSender.Close()
}

func (s *sender) topicOf(e outgoing) string {
	if topic := e.headers[memstreamer.HeaderTopic]; topic != "" {
		return topic
	}
	return s.topic
}

type receiver struct {
	memstreamer.EventReceiver
	wrapper *wrapper
	cursor  cursor
	once    sync.Once
	done    chan struct{}
}

func (r *receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	return r.wrapper.recv(ctx, r)
}

func (r *receiver) Close() error {
	r.once.Do(func() { close(r.done) })
	return r.EventReceiver.Close()
}

// usable tells whether a call could succeed.
func (w *wrapper) usable(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-w.done:
		return false
	default:
		return ctx.Err() == nil
	}
}
