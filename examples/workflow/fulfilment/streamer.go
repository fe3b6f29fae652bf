package fulfilment

import (
	"context"
	"time"
)

// EventStreamer is what an [Engine] needs of a streamer. Each receiver name gets
// every event of a topic in order and at least once: again until it is acked,
// also by the next receiver of that name.
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

// Ack commits the event it came with.
type Ack func() error

// Event tells that an order has reached a status.
type Event struct {
	ID        int64
	ForeignID string // of the order
	Type      int    // the Status
	Headers   map[Header]string
	CreatedAt time.Time
}

// Header names one header of an event.
type Header string
