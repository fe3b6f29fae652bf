package jetstream

import (
	"context"
	"errors"
	"sync"

	"github.com/memstreamer/memstreamer"
)

type receiver struct {
	streamer    *Streamer
	topic, name string
	ephemeral   bool
	owner
	release sync.Once

	mu     sync.Mutex
	cursor *cursor // an ephemeral receiver replaces it when its consumer is gone
}

// Recv implements [memstreamer.EventReceiver]. While the server is unavailable, it
// waits until ctx is done. It fails if the consumer was deleted or made anew, or
// refuses to deliver, and says why; the next NewReceiver opens it again. Recv of an
// ephemeral receiver makes another consumer, and fails only if the stream is gone or
// was made anew.
func (r *receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	var event *memstreamer.Event
	var ack memstreamer.Ack
	err := r.call(ctx, "Recv", func(ctx context.Context) error {
		c, d, err := r.next(ctx)
		if err != nil {
			return err
		}
		ack = func() error { return r.ack(c, d) }
		event, err = d.event()
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return event, ack, nil
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
// this process gives its event back to the server, for other processes.
func (r *receiver) Close() error {
	r.close()
	r.release.Do(func() { r.streamer.releaseCursor(r.current()) })
	return nil
}
