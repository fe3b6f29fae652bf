package baseline

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/memstreamer/memstreamer"
)

// polling waits by asking again: the log is under one mutex, the cursors under
// another, and Recv loops over the two.
type polling struct {
	streamer
	cursors cursorStore
}

// NewPolling returns a streamer whose waiting receivers spin, as those of the
// in-memory adapters that engines ship do. It implements io.Closer.
func NewPolling() memstreamer.EventStreamer {
	p := &polling{cursors: cursorStore{next: make(map[cursorKey]int)}}
	p.changed.L = &p.mu
	p.open = func(key cursorKey, position int) memstreamer.EventReceiver {
		p.cursors.open(key, position)
		return &pollingReceiver{streamer: p, key: key}
	}
	return p
}

func (p *polling) snapshot() (log []entry, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log, p.closed
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
