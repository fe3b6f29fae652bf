// Package baseline holds the streamer that shows what memstreamer saves: one
// whose receivers wait by asking again. It is what the in-memory adapter of
// luno/workflow was up to v0.4.0, and correct: events in order, at least once,
// cursors by topic and name. It leaves out isolation (the header map given to Send
// is the one that every receiver gets), the refusal of empty names, Ephemeral, the form
// of CreatedAt, and what it was that a memstreamer.ErrClosed is about. It imports the
// root for its types; benchmarks and tests import it.
package baseline

import (
	"context"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
)

// polling has one log of all topics under a mutex and the cursors under another,
// and Recv loops over the two.
type polling struct {
	cursors cursorStore

	mu     sync.Mutex
	closed bool
	log    []entry
}

type entry struct {
	topic string
	event *memstreamer.Event
}

type cursorKey struct{ topic, name string }

// NewPolling returns a streamer whose waiting receivers spin. It implements
// io.Closer.
func NewPolling() memstreamer.EventStreamer {
	return &polling{cursors: cursorStore{next: make(map[cursorKey]int)}}
}

func (p *polling) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, closed := p.snapshot(); closed {
		return nil, memstreamer.ErrClosed
	}
	return &sender{streamer: p, topic: topic}, nil
}

func (p *polling) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	options, err := memstreamer.ResolveReceiverOptions(opts...)
	if err != nil {
		return nil, err
	}
	log, closed := p.snapshot()
	if closed {
		return nil, memstreamer.ErrClosed
	}
	position := 0
	switch {
	case options.StreamFromLatest:
		position = len(log)
	case options.StreamFromLast > 0:
		since := time.Now().Add(-options.StreamFromLast)
		position = sort.Search(len(log), func(i int) bool { return !log[i].event.CreatedAt.Before(since) })
	}
	key := cursorKey{topic, name}
	p.cursors.open(key, position)
	return &receiver{streamer: p, key: key}, nil
}

// Close ends all waiting receivers with memstreamer.ErrClosed.
func (p *polling) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

func (p *polling) snapshot() (log []entry, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log, p.closed
}

type sender struct {
	streamer *polling
	topic    string
	closed   atomic.Bool
}

func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	topic := s.topic
	if own := headers[memstreamer.HeaderTopic]; own != "" {
		topic = own
	}
	p := s.streamer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.closed.Load() {
		return memstreamer.ErrClosed
	}
	p.log = append(p.log, entry{topic, &memstreamer.Event{
		ID:        int64(len(p.log)) + 1,
		ForeignID: foreignID,
		Type:      statusType,
		Headers:   headers,
		CreatedAt: time.Now(),
	}})
	return nil
}

func (s *sender) Close() error {
	s.closed.Store(true)
	return nil
}

type receiver struct {
	streamer *polling
	key      cursorKey
	closed   atomic.Bool
}

func (r *receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	cursors := &r.streamer.cursors
	for ctx.Err() == nil {
		log, closed := r.streamer.snapshot()
		if closed || r.closed.Load() {
			return nil, nil, memstreamer.ErrClosed
		}
		position := cursors.get(r.key)
		if position >= len(log) {
			continue
		}
		if log[position].topic != r.key.topic {
			cursors.advance(r.key, position+1)
			continue
		}
		return log[position].event, func() error {
			cursors.advance(r.key, position+1)
			return nil
		}, nil
	}
	return nil, nil, ctx.Err()
}

func (r *receiver) Close() error {
	r.closed.Store(true)
	return nil
}

// cursorStore holds the position in the log that each cursor reads next.
type cursorStore struct {
	mu   sync.Mutex
	next map[cursorKey]int
}

func (c *cursorStore) open(key cursorKey, position int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.next[key]; !ok {
		c.next[key] = position
	}
}

func (c *cursorStore) get(key cursorKey) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next[key]
}

func (c *cursorStore) advance(key cursorKey, position int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next[key] = max(c.next[key], position)
}
