// Package memstreamer is an in-memory event streamer for workflow engines,
// whose idle receivers cost nothing.
//
// A [StreamConstructor] is one append-only log of events, indexed by topic,
// that its senders and receivers share. A receiver with nothing to do is parked
// on a condition variable and returns for three things: an event on its topic,
// the end of its context, or a Close. Nothing polls, and no goroutine belongs
// to the package.
//
// An engine has types of its own in the shape of this package's; [As] gives it
// a StreamConstructor in those types, and [AsConnector] a [Connector].
//
// Everything is in memory: a process that restarts starts with an empty log.
package memstreamer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// ErrClosed is returned, as it is or wrapped, by what was closed or belongs to
// a streamer that was: check it with errors.Is.
var ErrClosed = errors.New("memstreamer: closed")

// StreamConstructor is an [EventStreamer] in memory. Its methods, and those of
// its senders and receivers, are safe for concurrent use.
type StreamConstructor struct {
	clock     Clock
	retention retention

	// mu guards what follows, and everything in topics, cursors, senders and
	// receivers that says so. It is the only lock, and taken last: nothing is
	// called under it that could take another or run a user's code, be it a
	// context, a clock or an option.
	mu      sync.Mutex
	closed  bool
	lastID  int64
	topics  map[string]*topic
	cursors int // of all topics
}

// topic is the part of the log that has one topic, and the cursors on it.
type topic struct {
	name string

	// changed is what receivers of the topic park on, with the
	// StreamConstructor's mu. It is broadcast after an append and whenever a
	// parked receiver may have to return for another reason.
	changed sync.Cond

	// Guarded by the StreamConstructor's mu.

	log     log
	cursors map[string]*cursor
	open    int // senders and receivers that are open
	place   int // in retention.expiring; -1 when it is not there
}

// New returns an empty streamer. It panics for an option that is nil or that
// was given a nil value.
func New(opts ...Option) *StreamConstructor {
	return newStreamConstructor(resolve("New", opts))
}

func newStreamConstructor(o options) *StreamConstructor {
	return &StreamConstructor{
		clock:     o.clock,
		retention: retention{period: o.retention, epoch: o.clock.Now()},
		topics:    make(map[string]*topic),
	}
}

// NewSender implements [EventStreamer].
func (s *StreamConstructor) NewSender(ctx context.Context, topic string) (EventSender, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if topic == "" {
		return nil, errors.New("memstreamer: NewSender: topic is empty")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	return s.openSenderLocked(topic), nil
}

func (s *StreamConstructor) openSenderLocked(topic string) *sender {
	t := s.topicLocked(topic)
	t.open++
	return &sender{streamer: s, topic: t}
}

// NewReceiver implements [EventStreamer].
func (s *StreamConstructor) NewReceiver(ctx context.Context, topic string, name string, opts ...ReceiverOption) (EventReceiver, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if topic == "" {
		return nil, errors.New("memstreamer: NewReceiver: topic is empty")
	}
	if name == "" {
		return nil, errors.New("memstreamer: NewReceiver: name is empty")
	}
	var o ReceiverOptions
	for i, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("memstreamer: NewReceiver: option %d of %d is nil", i+1, len(opts))
		}
		opt(&o)
	}
	r, err := s.openReceiver(topic, name, o)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (s *StreamConstructor) openReceiver(topic, name string, o ReceiverOptions) (*receiver, error) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	t := s.topicLocked(topic)
	t.open++
	c := s.openCursorLocked(t, name, o.StreamFromLatest, now)
	s.sweepLocked(t, now)
	return &receiver{streamer: s, cursor: c}, nil
}

// Close closes the streamer and with it all its senders and receivers: parked
// calls of Recv wake with [ErrClosed]. Acks still succeed. It may be called
// again, and returns nil.
func (s *StreamConstructor) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, t := range s.topics {
		t.changed.Broadcast()
	}
	return nil
}

// topicLocked returns the topic of that name, made where there was none.
func (s *StreamConstructor) topicLocked(name string) *topic {
	if t := s.topics[name]; t != nil {
		return t
	}
	// The name may be a piece of something large of the caller's.
	name = strings.Clone(name)
	t := &topic{name: name, cursors: make(map[string]*cursor), place: -1}
	t.changed.L = &s.mu
	s.topics[name] = t
	return t
}

// appendLocked gives e the next ID and adds it to t. The caller broadcasts
// t.changed, with the lock or after it.
func (s *StreamConstructor) appendLocked(t *topic, e entry) {
	s.lastID++
	e.id = s.lastID
	t.log.append(e)
	s.sweepLocked(t, e.added)
}

type sender struct {
	streamer *StreamConstructor
	topic    *topic
	closed   bool // guarded by the streamer's mu
}

// Send implements [EventSender].
func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[Header]string) error {
	return send(ctx, s, foreignID, statusType, headers)
}

// send is Send for an engine's own header type too, so that its map need not be
// copied into one of ours on the way.
func send[H ~string](ctx context.Context, s *sender, foreignID string, statusType int, headers map[H]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	topic := string(headers[H(HeaderTopic)])
	streamer, t := s.streamer, s.topic
	now := streamer.clock.Now()
	e := entry{
		createdAt: now,
		payload:   packEvent(foreignID, statusType, headers),
		added:     streamer.retention.age(now),
	}
	streamer.mu.Lock()
	if s.closed || streamer.closed {
		streamer.mu.Unlock()
		return ErrClosed
	}
	if topic != "" && topic != t.name {
		t = streamer.topicLocked(topic)
	}
	streamer.appendLocked(t, e)
	streamer.mu.Unlock()
	// A receiver that woke under the lock would have to wait for it first.
	t.changed.Broadcast()
	return nil
}

// Close implements [EventSender].
func (s *sender) Close() error {
	now := s.streamer.now()
	s.streamer.mu.Lock()
	defer s.streamer.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.topic.open--
	s.streamer.sweepLocked(s.topic, now)
	return nil
}

type receiver struct {
	streamer *StreamConstructor
	cursor   *cursor
	closed   bool // guarded by the streamer's mu
}

// Recv implements [EventReceiver].
func (r *receiver) Recv(ctx context.Context) (*Event, Ack, error) {
	e, ack, err := r.next(ctx)
	if err != nil {
		return nil, nil, err
	}
	event := &Event{ID: e.id, CreatedAt: e.createdAt}
	event.ForeignID, event.Type, event.Headers = unpackEvent[Header](e.payload)
	return event, ack, nil
}

// next returns the event at the cursor, still packed, parked until there is one.
func (r *receiver) next(ctx context.Context) (entry, Ack, error) {
	if err := ctx.Err(); err != nil {
		return entry{}, nil, err
	}
	mu, changed := &r.streamer.mu, &r.cursor.topic.changed
	mu.Lock()
	waited := !r.readyLocked()
	if !r.readyLocked() {
		// The watcher is set without the lock, since that runs code of the
		// context's; what happens meanwhile is seen by the loop below.
		mu.Unlock()
		w := &watcher{changed: changed}
		defer context.AfterFunc(ctx, w.fire)()
		mu.Lock()
		r.cursor.parked++
		for !w.fired && !r.readyLocked() {
			changed.Wait()
		}
		r.cursor.parked--
		if w.fired {
			mu.Unlock()
			return entry{}, nil, ctx.Err()
		}
	}
	var e entry
	position, closed := r.cursor.next, r.closedLocked()
	if !closed {
		e = *r.cursor.topic.log.at(position)
	}
	mu.Unlock()

	if waited {
		// A context that ended before the Send or Close that woke this call has
		// still to come first: its watcher may be the later one of the two.
		if err := ctx.Err(); err != nil {
			return entry{}, nil, err
		}
	}
	if closed {
		return entry{}, nil, ErrClosed
	}
	id := e.id
	return e, func() error { return r.ack(position, id) }, nil
}

func (r *receiver) ack(position, id int64) error {
	now := r.streamer.now()
	r.streamer.mu.Lock()
	defer r.streamer.mu.Unlock()
	r.cursor.ackLocked(position, id)
	r.streamer.sweepLocked(r.cursor.topic, now)
	return nil
}

// readyLocked tells whether Recv has something to return, other than the end of
// its context.
func (r *receiver) readyLocked() bool {
	return r.closedLocked() || r.cursor.next < r.cursor.topic.log.next
}

func (r *receiver) closedLocked() bool {
	return r.closed || r.streamer.closed
}

// Close implements [EventReceiver].
func (r *receiver) Close() error {
	now := r.streamer.now()
	r.streamer.mu.Lock()
	defer r.streamer.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	t := r.cursor.topic
	t.changed.Broadcast()
	t.open--
	r.streamer.closeCursorLocked(r.cursor, now)
	r.streamer.sweepLocked(t, now)
	return nil
}

// watcher wakes one parked Recv when its context is done. A context of the
// standard library has no goroutine for it until then.
type watcher struct {
	changed *sync.Cond
	fired   bool // guarded by changed.L
}

func (w *watcher) fire() {
	w.changed.L.Lock()
	defer w.changed.L.Unlock()
	w.fired = true
	w.changed.Broadcast()
}
