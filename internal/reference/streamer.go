// Package reference keeps memstreamer's contract in the plainest way: one lock, one
// slice of events for each topic, and everything looked at in each call. Tests compare
// other streamers with it, and plant a [Fault] in it to see that a check finds it. It
// imports the root for its types, and only tests import it.
//
// A fault that turns one decision around stands at that decision. The methods named
// ...Wrongly hold those that do more, and do nothing without a fault.
package reference

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Streamer is a streamer in memory.
type Streamer struct {
	*Fault
	clock     memstreamer.Clock
	retention time.Duration // 0: everything is kept
	notes     sync.Map      // what the fault remembers

	mu     sync.Mutex // guards all that follows, and topics, cursors, senders and receivers
	closed bool
	lastID int64
	topics map[string]*topic
}

// topic is one topic, for as long as anything refers to it.
type topic struct {
	name    string
	events  []entry // those that are kept
	dropped int     // how many were before them
	cursors []*cursor
	senders int           // open ones
	changed chan struct{} // closed when a parked Recv has to look again
}

// entry is an event, and the time that its age counts from.
type entry struct {
	memstreamer.Event
	added time.Time
}

// cursor is the position of one consumer.
type cursor struct {
	*topic
	name      string
	ephemeral bool
	shard     shard

	next           int   // the place of the oldest event not acked, among all that were sent
	deliveries     int64 // of that event
	acked, ackedID int64
	open, parked   int
	closedAt       time.Time // the latest, since all its receivers were closed
}

// shard is the events whose ID, divided by count, leaves index; all where count is 0.
type shard struct{ index, count int64 }

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

// New returns an empty streamer with a fault, or none. A nil clock is the wall's, and
// a retention of 0 keeps everything.
func New(f *Fault, clock memstreamer.Clock, retention time.Duration) *Streamer {
	if f == nil {
		f = &Fault{}
	}
	if clock == nil {
		clock = wallClock{}
	}
	return &Streamer{Fault: f, clock: clock, retention: retention, topics: map[string]*topic{}}
}

// lock reads the clock, which is user code, and then locks.
func (s *Streamer) lock() (now time.Time) {
	t := s.clock.Now()
	s.mu.Lock()
	return time.Unix(t.Unix(), int64(t.Nanosecond()))
}

// unlock drops what has expired, and unlocks.
func (s *Streamer) unlock(now time.Time) {
	s.expire(now)
	s.mu.Unlock()
}

// topic returns the topic of that name, new if there is none.
func (s *Streamer) topic(name string) *topic {
	if s.topics[name] == nil {
		s.topics[name] = &topic{name: name, changed: make(chan struct{})}
	}
	return s.topics[name]
}

// NewSender implements [memstreamer.EventStreamer].
func (s *Streamer) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	if err := s.refuseSender(ctx, topic); err != nil {
		if s.does("returns a sender beside an error") {
			return &sender{}, err
		}
		return nil, err
	}
	if s.does("leaves a goroutine now and then") && s.turn()%100 == 0 {
		go func() { <-s.Life.Done() }()
	}
	now := s.lock()
	defer s.unlock(now)
	if s.closed && !s.does("opens senders after Close") {
		return nil, s.closedError("the streamer")
	}
	topic = s.topicOf(topic)
	s.topic(topic).senders++
	return &sender{Streamer: s, topicName: topic}, nil
}

func (s *Streamer) refuseSender(ctx context.Context, topic string) error {
	if err := ctx.Err(); err != nil && !s.does("has NewSender ignore the context") {
		return err
	}
	if topic == "" && !s.does("takes an empty topic for a sender") {
		if s.does("does not say what is empty") {
			return errors.New("invalid argument")
		}
		return errors.New("reference: topic is empty")
	}
	if strings.ContainsAny(topic, "*>") && s.does("refuses wildcards") {
		return ErrFault
	}
	return nil
}

// NewReceiver implements [memstreamer.EventStreamer].
func (s *Streamer) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if err := ctx.Err(); err != nil && !s.does("has NewReceiver ignore the context") {
		return nil, err
	}
	if topic == "" && !s.does("takes an empty topic for a receiver") {
		return nil, errors.New("reference: topic is empty")
	}
	if name == "" && !s.does("takes an empty name") {
		return nil, errors.New("reference: name is empty")
	}
	o, err := memstreamer.ResolveReceiverOptions(s.optionsOf(opts)...)
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	if s.does(Slow) {
		time.Sleep(Latency)
	}
	now := s.lock()
	defer s.unlock(now)
	if s.closed {
		return nil, s.closedError("the streamer")
	}
	name, o = s.openWrongly(topic, name, o)
	t := s.topic(s.topicOf(topic))
	c := t.find(name, o.Ephemeral)
	switch {
	case c == nil:
	case o.Ephemeral && !s.sharesWrongly(c):
		c = nil
	case s.expired(c, now):
		t.forget(c)
		c = nil
	case s.skipsWrongly(o):
		c.next = s.start(t, o, now)
	}
	if c == nil {
		c = &cursor{topic: t, name: name, ephemeral: o.Ephemeral, shard: shardOf(o), next: s.start(t, o, now)}
		t.cursors = append(t.cursors, c)
	}
	if err := s.refuseShard(c, shardOf(o)); err != nil {
		return nil, err
	}
	if c.open == 0 {
		c.closedAt = time.Time{}
	}
	c.open++
	return &receiver{Streamer: s, cursor: c}, nil
}

// start returns the place at which a new cursor starts: past the newest event, or at
// the oldest that is neither past the period nor too old for StreamFromLast.
func (s *Streamer) start(t *topic, o memstreamer.ReceiverOptions, now time.Time) int {
	if (o.StreamFromLatest || o.StreamFromLast > 0) && t.end() == 0 && s.does("takes the first event for an older one") {
		return 1
	}
	if o.StreamFromLatest {
		return t.end()
	}
	for i, e := range t.events {
		if s.old(e.added, now) && !s.shows("gives a new name what is too old for it") {
			continue
		}
		if age := now.Sub(e.added); o.StreamFromLast == 0 || age <= o.StreamFromLast || s.reachesBack(age, o.StreamFromLast) {
			return t.dropped + i
		}
	}
	if o.StreamFromLast > 0 && s.does("starts at the oldest if none is of the last") {
		return t.dropped
	}
	return t.end()
}

func shardOf(o memstreamer.ReceiverOptions) shard {
	return shard{int64(o.ShardIndex), int64(o.ShardCount)}
}

// refuseShard returns an error if c was made with another shard.
func (s *Streamer) refuseShard(c *cursor, asked shard) error {
	switch {
	case c.shard == asked:
		return nil
	case s.does("says of one shard alone that it is another"):
		return fmt.Errorf("%w: not (%d, %d)", memstreamer.ErrShard, asked.index, asked.count)
	case s.does("has an error of its own for another shard"):
		return ErrFault
	case s.does("opens a consumer of another shard"):
		return nil
	}
	return fmt.Errorf("%w: made with (%d, %d), opened with (%d, %d)", memstreamer.ErrShard, c.shard.index, c.shard.count, asked.index, asked.count)
}

// Forget forgets the consumer (topic, name), unless a receiver of it is open.
func (s *Streamer) Forget(ctx context.Context, topic, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if topic == "" || name == "" {
		return errors.New("reference: topic or name is empty")
	}
	now := s.lock()
	defer s.unlock(now)
	if s.closed {
		return s.closedError("the streamer")
	}
	if t := s.topics[topic]; t != nil {
		c := t.find(name, false)
		if c != nil && c.open > 0 {
			return fmt.Errorf("reference: a receiver of topic %q and name %q is open", topic, name)
		}
		t.forget(c)
	}
	return nil
}

// Close closes the streamer.
func (s *Streamer) Close() error {
	now := s.lock()
	defer s.unlock(now)
	if s.does("ignores Close") {
		return nil
	}
	if s.closed && s.does("refuses a second Close of the streamer") {
		return ErrFault
	}
	s.closed = true
	for _, t := range s.topics {
		if !s.does("does not wake on Close of the streamer") {
			t.change()
		}
	}
	return nil
}

// passOver moves c past the events of other shards.
func (c *cursor) passOver() {
	for c.next < c.end() && !c.shard.has(c.due()) {
		c.next++
	}
}

// has reports whether e is of the shard.
func (s shard) has(e memstreamer.Event) bool { return s.count == 0 || e.ID%s.count == s.index }

// end returns the place after the newest event.
func (t *topic) end() int { return t.dropped + len(t.events) }

// find returns the cursor of the consumer of that name, or nil. If ephemeral, it is
// the first of those that ephemeral receivers of that name have.
func (t *topic) find(name string, ephemeral bool) *cursor {
	i := slices.IndexFunc(t.cursors, func(c *cursor) bool { return c.name == name && c.ephemeral == ephemeral })
	if i < 0 {
		return nil
	}
	return t.cursors[i]
}

// forget forgets c, if it is remembered.
func (t *topic) forget(c *cursor) {
	t.cursors = slices.DeleteFunc(t.cursors, func(other *cursor) bool { return other == c })
}

// remembers reports whether c was not forgotten.
func (t *topic) remembers(c *cursor) bool { return slices.Contains(t.cursors, c) }

// change has each Recv that is parked on t look again.
func (t *topic) change() {
	close(t.changed)
	t.changed = make(chan struct{})
}
