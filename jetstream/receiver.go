package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/memstreamer/memstreamer"
)

type receiver struct {
	streamer    *Streamer
	topic, name string
	ephemeral   bool

	// ctx ends when the receiver or its streamer is closed.
	ctx     context.Context
	close   context.CancelFunc
	release sync.Once

	mu     sync.Mutex
	cursor *cursor // an ephemeral receiver replaces it when its consumer is gone
}

// Recv implements [memstreamer.EventReceiver]. It waits through absences of the
// server, until ctx is done. It fails if the cursor is gone from the server, was
// made anew there, or cannot be received from, and says why; the next NewReceiver
// opens it again. If it is ephemeral, Recv opens it again by itself, and fails only if
// the stream is gone or was made anew.
func (r *receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if err := r.closed(); err != nil {
		return nil, nil, err
	}
	joined, stop := join(ctx, r.ctx)
	defer stop()
	c, d, err := r.next(joined)
	if err != nil {
		return nil, nil, fmt.Errorf("memstreamer/jetstream: Recv: %w", r.streamer.cause(ctx, r.closed(), err))
	}
	event, err := d.event()
	if err != nil {
		return nil, nil, fmt.Errorf("memstreamer/jetstream: Recv: %w", err)
	}
	return event, func() error { return r.ack(c, d) }, nil
}

// next returns the event at the receiver's cursor, and that cursor.
func (r *receiver) next(ctx context.Context) (*cursor, *delivery, error) {
	for {
		c := r.current()
		d, err := c.next(ctx)
		if !r.ephemeral || !errors.Is(err, errCursorGone) {
			return c, d, err
		}
		if err := r.replace(ctx, c); err != nil {
			return nil, nil, err
		}
	}
}

func (r *receiver) current() *cursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cursor
}

// replace opens another ephemeral cursor in place of gone, at the same position.
func (r *receiver) replace(ctx context.Context, gone *cursor) error {
	c, err := r.streamer.reopenEphemeral(ctx, r.topic, r.name, gone)
	if err != nil {
		return err
	}
	r.mu.Lock()
	replaced := r.cursor == gone && r.ctx.Err() == nil
	if replaced {
		c.passOver(gone.position()) // what was acked meanwhile
		r.cursor = c
	}
	r.mu.Unlock()
	if replaced {
		c = gone
	}
	r.streamer.releaseCursor(c)
	return nil
}

func (r *receiver) ack(c *cursor, d *delivery) error {
	if !r.ephemeral {
		return c.ack(d)
	}
	if r.ctx.Err() != nil {
		return nil // there is no cursor any more
	}
	err := c.ack(d)
	if !errors.Is(err, errCursorGone) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cursor.passOver(d.id)
	return nil
}

// Close implements [memstreamer.EventReceiver]. The last receiver of a consumer in
// this process gives its event back, for those that wait in others.
func (r *receiver) Close() error {
	r.close()
	r.release.Do(func() { r.streamer.releaseCursor(r.current()) })
	return nil
}

// closed returns an error that says what was closed, or nil.
func (r *receiver) closed() error {
	if err := r.streamer.closed(); err != nil || r.ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w: the receiver of topic %q and name %q", memstreamer.ErrClosed, r.topic, r.name)
}
