package memstreamer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// ErrClosed is returned by calls on a closed sender, receiver, streamer, connector or
// consumer, wrapped in an error that says which: check for it with errors.Is.
var ErrClosed = errors.New("memstreamer: closed")

// ErrShard is returned by NewReceiver for a consumer that was made with another [Shard],
// wrapped in an error that says both: check for it with errors.Is.
var ErrShard = errors.New("memstreamer: another shard")

// StreamConstructor is an [EventStreamer] in memory. Make one with [New]: the
// methods of the zero StreamConstructor panic. Its methods, and those of its
// senders and receivers, are safe for concurrent use. A nil context panics, as it
// does in the standard library.
type StreamConstructor struct {
	clock Clock
	epoch time.Time // ages count from here

	// mu guards the fields below, the closed flags of senders and receivers, and every
	// topic, cursor, log and retention. Callers of their methods must hold mu. Fields
	// that never change may be read without it. It is the only lock; no user code runs
	// under it.
	mu        sync.Mutex
	closed    error // what Close left, nil while open
	lastID    int64
	topics    registry[string, *topic]
	cursors   int // of all topics
	retention retention
	dropped   *dropped // nil without a Journal
}

// New returns an empty streamer. It panics for an option that is nil or that was
// given a nil or negative value.
func New(opts ...Option) *StreamConstructor {
	return newStreamConstructor(resolve("New", opts))
}

func newStreamConstructor(o options) *StreamConstructor {
	return &StreamConstructor{
		clock:     o.clock,
		epoch:     o.clock.Now(),
		retention: retention{period: o.retention},
	}
}

// now returns the time by the streamer's clock. It is called without mu held: a
// clock is user code.
func (s *StreamConstructor) now() time.Duration {
	s.mustBeMade()
	return s.age(s.clock.Now())
}

func (s *StreamConstructor) mustBeMade() {
	if s == nil || s.clock == nil {
		panic("memstreamer: a nil or zero StreamConstructor is not usable: make one with New")
	}
}

// lock locks mu and returns the time for sweepAndUnlock, 0 without retention.
func (s *StreamConstructor) lock() (now time.Duration) {
	s.mustBeMade()
	if s.retention.period > 0 {
		now = s.now()
	}
	s.mu.Lock()
	return now
}

// sweepAndUnlock drops at most sweepLimit expired items, then unlocks mu. Only Stats,
// Append and a Journal sweep more.
func (s *StreamConstructor) sweepAndUnlock(now time.Duration) {
	s.retention.sweep(now, sweepLimit)
	s.mu.Unlock()
}

// age returns the time from epoch to t, clamped, so that subtracting two ages cannot
// overflow.
func (s *StreamConstructor) age(t time.Time) time.Duration {
	const limit = math.MaxInt64 / 2
	return min(max(t.Sub(s.epoch), -limit), limit)
}

// NewSender implements [EventStreamer].
func (s *StreamConstructor) NewSender(ctx context.Context, topic string) (EventSender, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if topic == "" {
		return nil, errors.New("memstreamer: NewSender: topic is empty")
	}
	now := s.lock()
	defer s.sweepAndUnlock(now)
	if s.closed != nil {
		return nil, s.closed
	}
	return s.topic(topic).newSender(), nil
}

// NewReceiver implements [EventStreamer].
func (s *StreamConstructor) NewReceiver(ctx context.Context, topic string, name string, opts ...ReceiverOption) (EventReceiver, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkConsumer(topic, name); err != nil {
		return nil, fmt.Errorf("memstreamer: NewReceiver: %w", err)
	}
	o, err := ResolveReceiverOptions(opts...)
	if err != nil {
		return nil, fmt.Errorf("memstreamer: NewReceiver: %w", err)
	}
	now := s.now()
	s.mu.Lock()
	defer s.sweepAndUnlock(now)
	if s.closed != nil {
		return nil, s.closed
	}
	r, err := s.newReceiver(topic, name, o, now)
	return orNil[EventReceiver](r, err)
}

func checkConsumer(topic, name string) error {
	switch {
	case topic == "":
		return errors.New("topic is empty")
	case name == "":
		return errors.New("name is empty")
	}
	return nil
}

// Forget forgets a consumer at once, as if it had expired. With [WithRetention], events
// past the period that only it held may then be dropped. Without, this is the only way
// to remove a consumer, and it drops no event. Later acks of its events change nothing.
// It is no error if there is no such consumer. It does not affect ephemeral receivers.
//
// It fails with ctx's error when ctx is done, with [ErrClosed] after the streamer
// was closed, and with an error that says so when topic or name is empty or a
// receiver of the consumer is open.
func (s *StreamConstructor) Forget(ctx context.Context, topic, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkConsumer(topic, name); err != nil {
		return fmt.Errorf("memstreamer: Forget: %w", err)
	}
	now := s.lock()
	defer s.sweepAndUnlock(now)
	if s.closed != nil {
		return s.closed
	}
	if c := s.consumer(topic, name); c != nil {
		if c.receivers > 0 {
			return fmt.Errorf("memstreamer: Forget: a receiver of topic %q and name %q is open: close it first", topic, name)
		}
		c.forget()
	}
	return nil
}

// Close closes the streamer and with it all its senders and receivers: parked
// calls of Recv wake with [ErrClosed]. Acks still succeed. It may be called
// again, and always returns nil.
func (s *StreamConstructor) Close() error { return s.close("the streamer") }

func (s *StreamConstructor) close(what string) error {
	now := s.lock()
	defer s.sweepAndUnlock(now)
	s.closed = fmt.Errorf("%w: %s", ErrClosed, what)
	for t := range s.topics.all() {
		t.all.changed.Broadcast()
		for _, shards := range t.shards {
			for _, s := range shards {
				s.changed.Broadcast()
			}
		}
	}
	return nil
}

// The callers of the methods below must hold mu.

func (s *StreamConstructor) nextID() int64 {
	s.lastID++
	return s.lastID
}

// topic returns the topic of that name, new if there is none. The caller must add a
// user, an event or a cursor, or the topic is never forgotten.
func (s *StreamConstructor) topic(name string) *topic {
	t := s.topics.get(name)
	if t == nil {
		t = newTopic(s, name)
		s.topics.put(t.name, t)
	}
	return t
}

func (s *StreamConstructor) newReceiver(topic, name string, o ReceiverOptions, now time.Duration) (*receiver, error) {
	t := s.topic(topic)
	t.users++ // so that t stays while shard unlocks mu
	defer t.leave()
	of := t.shard(o.ShardIndex, o.ShardCount)
	var c *cursor
	if !o.Ephemeral {
		c = s.unexpired(topic, name, now)
	}
	if c == nil {
		c = t.newCursor(of, name, of.start(o, now), o.Ephemeral)
	}
	if err := c.check(o); err != nil {
		return nil, err
	}
	return t.open(c), nil
}

// unexpired is consumer, but first forgets a cursor that has expired and was not swept
// yet.
func (s *StreamConstructor) unexpired(topic, name string, now time.Duration) *cursor {
	c := s.consumer(topic, name)
	if c != nil && c.receivers == 0 && s.retention.past(c.expiry.since, now) {
		c.forget()
		return nil
	}
	return c
}

// consumer returns the cursor of a consumer, or nil if there is none.
func (s *StreamConstructor) consumer(topic, name string) *cursor {
	if t := s.topics.get(topic); t != nil {
		return t.cursors.get(name)
	}
	return nil
}
