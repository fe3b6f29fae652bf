package fulfilment

import (
	"context"
	"time"
)

// EventStreamer is what an [Engine] asks of a streamer: every event of a topic
// in order and at least once for each receiver name, again until it is acked,
// and from where that name stopped after a new receiver is opened.
type EventStreamer interface {
	NewSender(ctx context.Context, topic string) (EventSender, error)
	NewReceiver(ctx context.Context, topic string, name string, opts ...ReceiverOption) (EventReceiver, error)
}

// EventSender appends events to a topic.
type EventSender interface {
	Send(ctx context.Context, foreignID string, statusType int, headers map[Header]string) error
	Close() error
}

// EventReceiver waits for the events of a topic.
type EventReceiver interface {
	Recv(ctx context.Context) (*Event, Ack, error)
	Close() error
}

// ReceiverOptions is what the options of NewReceiver set.
type ReceiverOptions struct {
	PollFrequency    time.Duration
	StreamFromLatest bool
}

// ReceiverOption configures one receiver.
type ReceiverOption func(*ReceiverOptions)
