package memstreamer

import (
	"context"
	"errors"
)

type receiver struct {
	cursor *cursor
	closed bool
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

// errNothing says that there is no event yet. Recv never returns it.
var errNothing = errors.New("memstreamer: no event yet")

// recv is Recv of an event that is still packed.
func (r *receiver) recv(ctx context.Context) (entry, Ack, error) {
	if err := ctx.Err(); err != nil {
		return entry{}, nil, err
	}
	streamer := r.cursor.topic.streamer
	streamer.mu.Lock()
	e, err := r.takeLocked()
	streamer.mu.Unlock()
	if err == errNothing {
		e, err = r.park(ctx)
		// ctx wins even if its watcher has not run yet.
		if done := ctx.Err(); done != nil {
			if err == nil {
				r.untake(e.position)
			}
			err = done
		}
	}
	if err != nil {
		return entry{}, nil, err
	}
	position := e.position
	return e, func() error { return r.ack(position) }, nil
}

// takeLocked returns the event at the cursor and counts the delivery. It fails
// with ErrClosed, and with errNothing if there is no event. It needs mu held.
func (r *receiver) takeLocked() (entry, error) {
	c := r.cursor
	switch {
	case r.closed || c.topic.streamer.closed:
		return entry{}, ErrClosed
	case c.lag() == 0:
		return entry{}, errNothing
	}
	c.deliveries++
	return c.topic.log.read(c.next), nil
}

// untake takes back the count of a delivery that Recv did not return.
func (r *receiver) untake(position int64) {
	mu := &r.cursor.topic.streamer.mu
	mu.Lock()
	defer mu.Unlock()
	if r.cursor.next == position {
		r.cursor.deliveries--
	}
}

// park waits until takeLocked has something to return. It fails with errNothing
// once ctx is done.
func (r *receiver) park(ctx context.Context) (e entry, err error) {
	mu, changed := &r.cursor.topic.streamer.mu, &r.cursor.topic.changed
	// AfterFunc and stop run code of ctx, so neither is called under mu; the loop sees
	// what happens meanwhile. A context of the standard library takes no goroutine for
	// this until it is done.
	done := false
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		done = true
		mu.Unlock()
		changed.Broadcast()
	})
	defer stop()
	mu.Lock()
	defer mu.Unlock()
	r.cursor.parked++
	defer func() { r.cursor.parked-- }()
	for !done {
		if e, err = r.takeLocked(); err != errNothing {
			return e, err
		}
		changed.Wait()
	}
	return entry{}, errNothing
}

func (r *receiver) ack(position int64) error {
	streamer := r.cursor.topic.streamer
	now := streamer.lock()
	defer streamer.unlock(now)
	r.cursor.ack(position)
	return nil
}

// Close implements [EventReceiver].
func (r *receiver) Close() error {
	t := r.cursor.topic
	now := t.streamer.lock()
	defer t.streamer.unlock(now)
	if !r.closed {
		r.closed = true
		r.cursor.close(now)
		t.leave()
		if r.cursor.parked > 0 { // most receivers close after Recv has returned
			t.changed.Broadcast()
		}
	}
	return nil
}
