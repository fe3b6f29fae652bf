package sqlite

import (
	"context"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/journal"
)

type receiver struct {
	memstreamer.EventReceiver // in memory

	streamer *Streamer
	name     name
	cursor   journal.Cursor
}

// Recv implements [memstreamer.EventReceiver].
func (r *receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	e, inner, err := r.EventReceiver.Recv(ctx)
	if err != nil {
		return nil, nil, err
	}
	id := e.ID // the event is the caller's to change
	return e, func() error { return r.ack(id, inner) }, nil
}

// ack commits the event of that ID, and then moves the cursor by inner.
func (r *receiver) ack(id int64, inner memstreamer.Ack) error {
	if p, ok := r.cursor.Position(); !ok || p.After >= id {
		return inner()
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.streamer.opts.ackTimeout)
	defer cancel()
	return r.streamer.commit(ctx, &op{kind: opAck, name: r.name, cursor: r.cursor, id: id, ack: inner})
}
