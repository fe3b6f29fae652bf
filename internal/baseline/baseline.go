// Package baseline holds the two streamers that memstreamer is measured
// against. Both are what one would write without much thought for the cost of
// waiting, and correct: events in order, at least once, cursors by topic and
// name. They leave out isolation (the header map given to Send is the one that
// every receiver gets) and the refusal of empty names.
package baseline

import (
	"context"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

// streamer is what the two have in common: one log of all topics under a mutex.
type streamer struct {
	mu      sync.Mutex
	changed sync.Cond // broadcast after every change
	closed  bool
	log     []entry

	// open returns a receiver. A cursor that is new starts at position in the log.
	// It is called with mu held.
	open func(key cursorKey, position int) memstreamer.EventReceiver
}

type entry struct {
	topic string
	event *memstreamer.Event
}

type cursorKey struct{ topic, name string }

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
	position := 0
	if options.StreamFromLatest {
		position = len(s.log)
	}
	return s.open(cursorKey{topic, name}, position), nil
}

// Close ends all waiting receivers with memstreamer.ErrClosed.
func (s *streamer) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
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

func (s *sender) Close() error {
	s.streamer.mu.Lock()
	defer s.streamer.mu.Unlock()
	s.closed = true
	return nil
}
