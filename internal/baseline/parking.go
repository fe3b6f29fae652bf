package baseline

import (
	"context"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

// parking is the plain way to wait without spinning: one log, one cond that
// every receiver parks on, and a goroutine in each Recv that wakes it when its
// context is done.
type parking struct {
	mu      sync.Mutex
	changed *sync.Cond
	closed  bool
	log     []entry
	cursors map[cursorKey]*int // the position in log to read next
}

// NewParking returns a streamer whose waiting receivers are parked on one
// condition variable. It implements io.Closer.
func NewParking() memstreamer.EventStreamer {
	p := &parking{cursors: make(map[cursorKey]*int)}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *parking) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, memstreamer.ErrClosed
	}
	return &parkingSender{streamer: p, topic: topic}, nil
}

func (p *parking) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, memstreamer.ErrClosed
	}
	key := cursorKey{topic, name}
	if p.cursors[key] == nil {
		p.cursors[key] = new(int)
		if receiverOptions(opts).StreamFromLatest {
			*p.cursors[key] = len(p.log)
		}
	}
	return &parkingReceiver{streamer: p, topic: topic, next: p.cursors[key]}, nil
}

// Close wakes all parked receivers with memstreamer.ErrClosed.
func (p *parking) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.changed.Broadcast()
	return nil
}

type parkingSender struct {
	streamer *parking
	topic    string
	closed   bool // guarded by the streamer's mu
}

func (s *parkingSender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := s.streamer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.closed {
		return memstreamer.ErrClosed
	}
	p.log = append(p.log, entry{topicOf(headers, s.topic), &memstreamer.Event{
		ID:        int64(len(p.log)) + 1,
		ForeignID: foreignID,
		Type:      statusType,
		Headers:   headers,
		CreatedAt: time.Now(),
	}})
	p.changed.Broadcast()
	return nil
}

func (s *parkingSender) Close() error {
	s.streamer.mu.Lock()
	defer s.streamer.mu.Unlock()
	s.closed = true
	return nil
}

type parkingReceiver struct {
	streamer *parking
	topic    string

	// Guarded by the streamer's mu.

	next   *int
	closed bool
}

func (r *parkingReceiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	p := r.streamer
	returned := make(chan struct{})
	defer close(returned)
	go func() {
		select {
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			p.changed.Broadcast()
		case <-returned:
		}
	}()

	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if p.closed || r.closed {
			return nil, nil, memstreamer.ErrClosed
		}
		for ; *r.next < len(p.log); *r.next++ {
			if p.log[*r.next].topic == r.topic {
				return p.log[*r.next].event, r.ack(*r.next), nil
			}
		}
		p.changed.Wait()
	}
}

func (r *parkingReceiver) ack(position int) memstreamer.Ack {
	return func() error {
		r.streamer.mu.Lock()
		defer r.streamer.mu.Unlock()
		*r.next = max(*r.next, position+1)
		return nil
	}
}

func (r *parkingReceiver) Close() error {
	r.streamer.mu.Lock()
	defer r.streamer.mu.Unlock()
	r.closed = true
	r.streamer.changed.Broadcast()
	return nil
}
