package sqlite

import (
	"context"

	"github.com/memstreamer/memstreamer"
)

type receiver struct {
	memstreamer.EventReceiver // in memory

	streamer    *Streamer
	topic, name string
	life        int64 // of its consumer
}

// Recv implements [memstreamer.EventReceiver].
func (r *receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	e, _, err := r.EventReceiver.Recv(ctx)
	if err != nil {
		return nil, nil, err
	}
	id := e.ID // the event is the caller's to change
	return e, func() error { return r.ack(id) }, nil
}

// ack commits the event of that ID.
func (r *receiver) ack(id int64) error {
	o := &op{kind: opAck, topic: r.topic, name: r.name, life: r.life, id: id}
	if r.streamer.acked(o) || r.streamer.ackLater(o) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.streamer.opts.ackTimeout)
	defer cancel()
	return r.streamer.commit(ctx, o)
}
