package reference

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/memstreamer/memstreamer"
)

type receiver struct {
	*Streamer
	*cursor
	closed bool
}

// delivery is an event that Recv returns, and its Ack.
type delivery struct {
	*receiver
	ctx   context.Context // of the Recv
	event memstreamer.Event
	place int
	acks  atomic.Int64 // for a fault
}

// recv is Recv without most of its faults.
func (r *receiver) recv(ctx context.Context) (*delivery, error) {
	for {
		if err := ctx.Err(); err != nil && !(r.does("returns an event that is there") && r.ready()) {
			return nil, err
		}
		d, changed, err := r.take(ctx)
		if changed == nil {
			return d, err
		}
		r.park(ctx, changed)
		if err := r.wokenWrongly(changed); err != nil {
			return nil, err
		}
	}
}

// take returns what is at the cursor. If there is nothing, it counts a parked Recv,
// and returns what that has to wait for.
func (r *receiver) take(ctx context.Context) (*delivery, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.Streamer.closed:
		return nil, nil, r.closedError("the streamer")
	case r.closed:
		return nil, nil, r.closedError(fmt.Sprintf("the receiver of topic %q and name %q", r.cursor.topic.name, r.name))
	}
	for r.next < r.end() && r.passesOver(r.due()) {
		r.commit()
		r.passOver()
	}
	if r.next >= r.end() {
		if r.does("returns nothing where there is nothing") {
			return nil, nil, nil
		}
		r.parked++
		return nil, r.changed, nil
	}
	r.deliveries++
	e := r.due()
	e.Headers = maps.Clone(e.Headers)
	return &delivery{receiver: r, ctx: ctx, event: e, place: r.next}, nil, nil
}

// park waits for the topic to change, or for ctx.
func (r *receiver) park(ctx context.Context, changed <-chan struct{}) {
	if !r.parkWrongly(ctx, changed) {
		wait(ctx, changed)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parked--
}

// wait waits for the first of both.
func wait[T any](ctx context.Context, c <-chan T) {
	select {
	case <-c:
	case <-ctx.Done():
	}
}

// ack commits the event if it is the one at the cursor, and that is remembered.
func (d *delivery) ack() error {
	if wrong, err := d.ackWrongly(); wrong {
		return err
	}
	now := d.lock()
	defer d.unlock(now)
	if d.place == d.next && d.remembers(d.cursor) {
		d.commit()
	}
	return nil
}

// due returns the event at the cursor.
func (c *cursor) due() memstreamer.Event { return c.events[c.next-c.dropped].Event }

// commit moves c past it.
func (c *cursor) commit() {
	c.ackedID = c.due().ID
	c.acked++
	c.next++
	c.deliveries = 0
}

// Close implements [memstreamer.EventReceiver].
func (r *receiver) Close() error {
	now := r.lock()
	defer r.unlock(now)
	if wrong, err := r.closeWrongly(); wrong {
		return err
	}
	if r.closed {
		return nil
	}
	r.closed = true
	r.open--
	if r.open == 0 && r.ephemeral && !r.does("leaves the cursor of an ephemeral receiver to the next") {
		r.forget(r.cursor)
	}
	if now.After(r.closedAt) {
		r.closedAt = now
	}
	if !r.does("does not wake on Close of the receiver") {
		r.change()
	}
	return nil
}
