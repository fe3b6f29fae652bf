package baseline

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
)

// polling waits by asking again: the log under one mutex, the cursors under
// another, and a Recv that loops over the two.
type polling struct {
	cursors cursorStore

	mu     sync.Mutex
	closed bool
	log    []entry
}

// NewPolling returns a streamer whose waiting receivers spin, as those of the
// in-memory adapters that engines ship do. It implements io.Closer.
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
	return &pollingSender{streamer: p, topic: topic}, nil
}

func (p *polling) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	log, closed := p.snapshot()
	if closed {
		return nil, memstreamer.ErrClosed
	}
	key := cursorKey{topic, name}
	if receiverOptions(opts).StreamFromLatest {
		p.cursors.open(key, len(log))
	} else {
		p.cursors.open(key, 0)
	}
	return &pollingReceiver{streamer: p, key: key}, nil
}

// Close ends the loops of all receivers.
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

type pollingSender struct {
	streamer *polling
	topic    string
	closed   atomic.Bool
}

func (s *pollingSender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := s.streamer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.closed.Load() {
		return memstreamer.ErrClosed
	}
	p.log = append(p.log, entry{topicOf(headers, s.topic), &memstreamer.Event{
		ID:        int64(len(p.log)) + 1,
		ForeignID: foreignID,
		Type:      statusType,
		Headers:   headers,
		CreatedAt: time.Now(),
	}})
	return nil
}

func (s *pollingSender) Close() error {
	s.closed.Store(true)
	return nil
}

type pollingReceiver struct {
	streamer *polling
	key      cursorKey
	closed   atomic.Bool
}

func (r *pollingReceiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
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

func (r *pollingReceiver) Close() error {
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
