package memstreamer

import (
	"context"
	"fmt"
)

type receiver struct {
	streamer *StreamConstructor
	cursor   *cursor
	closed   bool
}

// Recv implements [EventReceiver].
func (r *receiver) Recv(ctx context.Context) (*Event, Ack, error) {
	e, ack, err := r.recv(ctx)
	if err != nil {
		return nil, nil, err
	}
	event := &Event{ID: e.id, CreatedAt: e.createdAt}
	event.ForeignID, event.Type, event.Headers = unpackEvent[Header](string(e.payload))
	return event, ack, nil
}

// recv is Recv of an event that is still packed.
func (r *receiver) recv(ctx context.Context) (entry, Ack, error) {
	for {
		// After park, too: ctx wins even if its watcher has not run yet.
		if err := ctx.Err(); err != nil {
			return entry{}, nil, err
		}
		e, ok, err := r.take()
		if err != nil {
			return entry{}, nil, err
		}
		if ok {
			position := e.position // and not e, whose payload would pin a chunk
			return e, func() error { return r.ack(position) }, nil
		}
		r.park(ctx)
	}
}

// take returns the event at the cursor, if there is one, and counts the delivery.
func (r *receiver) take() (e entry, ok bool, err error) {
	r.streamer.mu.Lock()
	defer r.streamer.mu.Unlock()
	switch {
	case r.streamer.closed != nil:
		return entry{}, false, r.streamer.closed
	case r.closed:
		return entry{}, false, r.errClosed()
	case r.cursor.lag() == 0:
		return entry{}, false, nil
	}
	r.cursor.deliveries++
	return r.cursor.shard.read(r.cursor.next), true, nil
}

// park returns once take has something to return, or ctx is done. It waits on the
// cond of its shard, which Send broadcasts. The end of ctx broadcasts it too: every other
// call that is parked there then finds nothing and goes on waiting.
func (r *receiver) park(ctx context.Context) {
	mu, c := &r.streamer.mu, r.cursor
	// AfterFunc and stop run code of ctx, so neither is called under mu; the loop sees
	// what happens meanwhile. A context of the standard library takes no goroutine for
	// this until it is done.
	done := false
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		done = true
		mu.Unlock()
		c.shard.changed.Broadcast()
	})
	defer stop()
	mu.Lock()
	defer mu.Unlock()
	c.parked++
	for !done && c.lag() == 0 && !r.closed && r.streamer.closed == nil {
		c.shard.changed.Wait()
	}
	c.parked--
}

func (r *receiver) ack(position int64) error {
	now := r.streamer.lock()
	defer r.streamer.sweepAndUnlock(now)
	r.cursor.ack(position)
	return nil
}

// Close implements [EventReceiver].
func (r *receiver) Close() error {
	now := r.streamer.lock()
	defer r.streamer.sweepAndUnlock(now)
	if !r.closed {
		r.closed = true
		r.cursor.close(now)
		r.cursor.topic.leave()
		if r.cursor.parked > 0 { // most receivers close after Recv has returned
			r.cursor.shard.changed.Broadcast()
		}
	}
	return nil
}

func (r *receiver) errClosed() error {
	return fmt.Errorf("%w: the receiver of topic %q and name %q", ErrClosed, r.cursor.topic.name, r.cursor.name)
}
