// Package baseline holds the two streamers that memstreamer is measured
// against. Both are what one would write without much thought for the cost of
// waiting, and correct: they keep the contract but for two of its lines. They
// leave out isolation (the header map given to Send is the one that every receiver
// gets) and the refusal of empty names.
package baseline

import (
	"context"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

// streamer is one log of all topics under a mutex.
type streamer struct {
	recv    func(*receiver, context.Context) (*memstreamer.Event, memstreamer.Ack, error)
	mu      sync.Mutex
	changed sync.Cond   // broadcast after every change
	acks    sync.Locker // guards the cursors; mu itself where receivers park

	// Guarded by mu.

	closed  bool
	log     []entry
	cursors map[cursorKey]*int // the position in the log to read next
}

type entry struct {
	topic string
	event *memstreamer.Event
}

type cursorKey struct{ topic, name string }

// NewParking returns a streamer that waits in the plain way without spinning:
// every receiver parks on one condition variable, and a goroutine in each Recv
// wakes it when its context is done. It implements io.Closer.
func NewParking() memstreamer.EventStreamer {
	s := newStreamer((*receiver).park)
	s.acks = &s.mu
	return s
}

// NewPolling returns a streamer whose waiting receivers ask the log again and
// again, as those of the in-memory adapters that engines ship do. It implements
// io.Closer.
func NewPolling() memstreamer.EventStreamer { return newStreamer((*receiver).poll) }

func newStreamer(recv func(*receiver, context.Context) (*memstreamer.Event, memstreamer.Ack, error)) *streamer {
	s := &streamer{recv: recv, acks: new(sync.Mutex), cursors: make(map[cursorKey]*int)}
	s.changed.L = &s.mu
	return s
}

func (s *streamer) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, memstreamer.ErrClosed
	}
	return &sender{streamer: s, topic: topic}, nil
}

func (s *streamer) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	options, err := memstreamer.ResolveReceiverOptions(opts...)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, memstreamer.ErrClosed
	}
	key := cursorKey{topic, name}
	if s.cursors[key] == nil {
		s.cursors[key] = new(int)
		if options.StreamFromLatest {
			*s.cursors[key] = len(s.log)
		}
	}
	return &receiver{streamer: s, topic: topic, next: s.cursors[key]}, nil
}

// Close ends all waiting receivers with memstreamer.ErrClosed.
func (s *streamer) Close() error { return s.close(&s.closed) }

// close sets closed, which is guarded by mu.
func (s *streamer) close(closed *bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	*closed = true
	s.changed.Broadcast()
	return nil
}

type sender struct {
	streamer *streamer
	topic    string
	closed   bool // guarded by the streamer's mu
}

func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	topic := s.topic
	if own := headers[memstreamer.HeaderTopic]; own != "" {
		topic = own
	}
	l := s.streamer
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || s.closed {
		return memstreamer.ErrClosed
	}
	l.log = append(l.log, entry{topic, &memstreamer.Event{
		ID:        int64(len(l.log)) + 1,
		ForeignID: foreignID,
		Type:      statusType,
		Headers:   headers,
		CreatedAt: time.Now(),
	}})
	l.changed.Broadcast()
	return nil
}

func (s *sender) Close() error { return s.streamer.close(&s.closed) }

type receiver struct {
	streamer *streamer
	topic    string
	next     *int // guarded by the streamer's acks
	closed   bool // guarded by the streamer's mu
}

func (r *receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	return r.streamer.recv(r, ctx)
}

// park is the Recv that waits on the cond.
func (r *receiver) park(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	s := r.streamer
	returned := make(chan struct{})
	defer close(returned)
	go func() {
		select {
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changed.Broadcast()
		case <-returned:
		}
	}()

	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if s.closed || r.closed {
			return nil, nil, memstreamer.ErrClosed
		}
		for ; *r.next < len(s.log); *r.next++ {
			if s.log[*r.next].topic == r.topic {
				return s.log[*r.next].event, r.ack(*r.next), nil
			}
		}
		s.changed.Wait()
	}
}

// poll is the Recv that asks again and again: the log under one mutex, then the
// cursor under another.
func (r *receiver) poll(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	for ctx.Err() == nil {
		log, closed := r.snapshot()
		if closed {
			return nil, nil, memstreamer.ErrClosed
		}
		position := r.advance(0)
		switch {
		case position >= len(log):
		case log[position].topic != r.topic:
			r.advance(position + 1)
		default:
			return log[position].event, r.ack(position), nil
		}
	}
	return nil, nil, ctx.Err()
}

func (r *receiver) snapshot() (log []entry, closed bool) {
	s := r.streamer
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log, s.closed || r.closed
}

// advance moves the cursor, unless it is further, and returns where it is.
func (r *receiver) advance(position int) int {
	r.streamer.acks.Lock()
	defer r.streamer.acks.Unlock()
	*r.next = max(*r.next, position)
	return *r.next
}

func (r *receiver) ack(position int) memstreamer.Ack {
	return func() error {
		r.advance(position + 1)
		return nil
	}
}

func (r *receiver) Close() error { return r.streamer.close(&r.closed) }
