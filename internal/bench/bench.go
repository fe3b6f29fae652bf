// Package bench holds the jobs by which memstreamer is measured, alone and
// beside what one might use in its place. The benchmarks of the root and of
// lab/benchmarks do the same jobs with brokers of their own choice. It imports the root and
// internal/baseline, and only benchmarks and tests import it.
package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

// Topic is the topic of the jobs that need only one.
const Topic = "order-fulfilment-3"

// EventType is the type of every event.
const EventType = 3

// Broker passes events by topic. Each receiver name of a topic gets every event
// sent after its receiver was opened.
type Broker interface {
	NewSender(topic string) (Sender, error)
	// NewReceiver returns a receiver that lives until ctx ends.
	NewReceiver(ctx context.Context, topic, name string) (Receiver, error)
	// Close may be called again.
	Close() error
}

// Sender sends to a topic.
type Sender struct {
	// Send sends the nth event, as [Outbox] makes it.
	Send func(ctx context.Context, n int) error
	// SendAll, which most leave out, is a faster way to send as many events,
	// numbered from 0.
	SendAll func(ctx context.Context, events int) error
}

// Receiver waits for the next event and returns its foreign ID and its ack.
type Receiver func(ctx context.Context) (foreignID string, ack func() error, err error)

// Recv calls r.
func (r Receiver) Recv(ctx context.Context) (foreignID string, ack func() error, err error) {
	return r(ctx)
}

// Open returns a new, empty broker.
type Open func() (Broker, error)

// Session is an open broker in a test or a benchmark. A method that fails fails
// the test.
type Session struct {
	tb     testing.TB
	cancel context.CancelFunc
	broker Broker
	ended  atomic.Bool

	// Ctx is canceled when the session ends.
	Ctx context.Context
}

// Start opens a broker, which is closed when tb ends, or before by End.
func Start(tb testing.TB, open Open) *Session {
	tb.Helper()
	broker, err := open()
	failOn(tb, err)
	s := &Session{tb: tb, broker: broker}
	s.Ctx, s.cancel = context.WithCancel(context.Background())
	tb.Cleanup(s.End)
	return s
}

// End closes the broker, which ends its Recv calls, and then cancels Ctx, for
// brokers whose Close does nothing.
func (s *Session) End() {
	if s.ended.Swap(true) {
		return
	}
	if err := s.broker.Close(); err != nil {
		s.tb.Error(err)
	}
	s.cancel()
	s.broker = nil // or tb would keep its events
}

// Ended reports whether End was called. Pending calls then fail, as they should.
func (s *Session) Ended() bool { return s.ended.Load() }

// Sender opens a sender.
func (s *Session) Sender(topic string) Sender {
	s.tb.Helper()
	sender, err := s.broker.NewSender(topic)
	failOn(s.tb, err)
	return sender
}

// Receiver opens a receiver.
func (s *Session) Receiver(topic, name string) Receiver {
	s.tb.Helper()
	receiver, err := s.broker.NewReceiver(s.Ctx, topic, name)
	failOn(s.tb, err)
	return receiver
}

// echo answers each event from one topic with one to another until the session
// ends, in a goroutine that wait waits for. If it fails, it cancels Ctx.
func (s *Session) echo(from Receiver, to Sender) (wait func()) {
	var done sync.WaitGroup
	done.Go(func() {
		defer s.cancel()
		for n := 0; ; n++ {
			err := Take(s.Ctx, from)
			if err == nil {
				err = to.Send(s.Ctx, n)
			}
			if s.Ended() {
				return
			}
			if err != nil {
				s.tb.Error(err)
				return
			}
		}
	})
	return done.Wait
}

// Take receives one event and acks it.
func Take(ctx context.Context, r Receiver) error {
	_, ack, err := r.Recv(ctx)
	if err != nil {
		return err
	}
	return ack()
}

// SendAll sends as many events, numbered from 0, in the fastest way of sender.
func SendAll(ctx context.Context, sender Sender, events int) error {
	if sender.SendAll != nil {
		return sender.SendAll(ctx, events)
	}
	for n := range events {
		if err := sender.Send(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func failOn(tb testing.TB, err error) {
	if err != nil {
		tb.Helper()
		tb.Fatal(err)
	}
}
