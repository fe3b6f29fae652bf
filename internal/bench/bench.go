// Package bench holds the jobs by which memstreamer is measured. The benchmarks of the
// root and of lab/benchmarks do them, each with its own brokers. It imports the root and
// internal/cputime, and only benchmarks and tests import it.
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
	// Close ends pending calls, or leaves that to their contexts.
	Close() error
}

// Sender sends to a topic.
type Sender struct {
	// Send sends the nth event, as [Outbox] makes it.
	Send func(ctx context.Context, n int) error
	// SendAll, if not nil, is a faster way to send so many events, numbered from 0.
	SendAll func(ctx context.Context, events int) error
}

// Receiver waits for the next event and returns its foreign ID and its ack.
type Receiver func(ctx context.Context) (foreignID string, ack func() error, err error)

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

// End closes the broker and then cancels Ctx. Only its first call does anything.
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

// background calls f again and again in a goroutine until the session ends. If f fails
// before, it fails the test and cancels Ctx.
func (s *Session) background(wait *sync.WaitGroup, f func() error) {
	wait.Go(func() {
		for {
			err := f()
			if s.Ended() {
				return
			}
			if err != nil {
				s.tb.Error(err)
				s.cancel()
				return
			}
		}
	})
}

// Take receives one event and acks it.
func Take(ctx context.Context, r Receiver) error {
	_, ack, err := r(ctx)
	if err != nil {
		return err
	}
	return ack()
}

// SendAll sends so many events, numbered from 0, in the fastest way of sender.
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
