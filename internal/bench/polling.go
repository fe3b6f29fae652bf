package bench

import (
	"context"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

// polling is what the in-memory adapter of luno/workflow was up to v0.4.0: one log of
// all topics under a mutex, the cursors under another, and receivers that wait by
// asking both again. All receivers get the header map that was given to Send.
type polling struct {
	mu     sync.Mutex
	closed bool
	log    []entry

	cursorsMu sync.Mutex
	cursors   map[cursor]int // the place in the log that each reads next
}

type entry struct {
	topic string
	event *memstreamer.Event
}

type cursor struct{ topic, name string }

// Polling opens a broker whose waiting receivers spin.
func Polling() (Broker, error) { return &polling{cursors: make(map[cursor]int)}, nil }

func (p *polling) NewSender(topic string) (Sender, error) {
	return Sender{Send: func(ctx context.Context, n int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		foreignID, headers := Outbox[memstreamer.Header](topic, n)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.log = append(p.log, entry{topic, &memstreamer.Event{
			ID:        int64(len(p.log)) + 1,
			ForeignID: foreignID,
			Type:      EventType,
			Headers:   headers,
			CreatedAt: time.Now(),
		}})
		return nil
	}}, nil
}

func (p *polling) NewReceiver(_ context.Context, topic, name string) (Receiver, error) {
	c := cursor{topic, name}
	return func(ctx context.Context) (string, func() error, error) {
		for ctx.Err() == nil {
			log, closed := p.snapshot()
			if closed {
				return "", nil, memstreamer.ErrClosed
			}
			place := p.place(c)
			if place >= len(log) {
				continue
			}
			if log[place].topic != topic {
				p.advance(c, place+1)
				continue
			}
			return log[place].event.ForeignID, func() error {
				p.advance(c, place+1)
				return nil
			}, nil
		}
		return "", nil, ctx.Err()
	}, nil
}

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

func (p *polling) place(c cursor) int {
	p.cursorsMu.Lock()
	defer p.cursorsMu.Unlock()
	return p.cursors[c]
}

func (p *polling) advance(c cursor, place int) {
	p.cursorsMu.Lock()
	defer p.cursorsMu.Unlock()
	p.cursors[c] = max(p.cursors[c], place)
}
