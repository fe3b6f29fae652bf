package baseline

import (
	"context"

	"github.com/memstreamer/memstreamer"
)

// parking is the plain way to wait without spinning: every receiver parks on one
// cond, and a goroutine in each Recv wakes it when its context is done.
type parking struct {
	streamer
	cursors map[cursorKey]*int // the position in the log to read next
}

// NewParking returns a streamer whose waiting receivers are parked on one
// condition variable. It implements io.Closer.
func NewParking() memstreamer.EventStreamer {
	p := &parking{cursors: make(map[cursorKey]*int)}
	p.changed.L = &p.mu
	p.open = func(key cursorKey, position int) memstreamer.EventReceiver {
		if p.cursors[key] == nil {
			p.cursors[key] = &position
		}
		return &parkingReceiver{streamer: p, topic: key.topic, next: p.cursors[key]}
	}
	return p
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
