package jetstream

import (
	"context"
	"fmt"
	"sync"

	"github.com/memstreamer/memstreamer"
)

type receiver struct {
	streamer *Streamer
	cursor   *cursor

	// ctx ends when the receiver or its streamer is closed.
	ctx     context.Context
	close   context.CancelFunc
	release sync.Once
}

// Recv implements [memstreamer.EventReceiver]. It waits through absences of the
// server, until ctx is done. It fails if the cursor is gone from the server, was
// made anew there, or cannot be received from, and says why; the next NewReceiver
// opens it again.
func (r *receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if r.ctx.Err() != nil {
		return nil, nil, memstreamer.ErrClosed
	}
	joined, stop := join(ctx, r.ctx)
	defer stop()
	d, err := r.cursor.next(joined)
	if err != nil {
		return nil, nil, fmt.Errorf("memstreamer/jetstream: Recv: %w", r.streamer.cause(ctx, r.ctx, err))
	}
	event, err := d.event()
	if err != nil {
		return nil, nil, fmt.Errorf("memstreamer/jetstream: Recv: %w", err)
	}
	return event, func() error { return r.cursor.ack(d) }, nil
}

// Close implements [memstreamer.EventReceiver]. The last receiver of a name in this
// process gives its event back, for those that wait in others.
func (r *receiver) Close() error {
	r.close()
	r.release.Do(func() { r.streamer.releaseCursor(r.cursor) })
	return nil
}
