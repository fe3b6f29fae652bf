package fulfilment

import (
	"context"
	"fmt"
	"strconv"
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

// Event tells that a run has reached a status.
type Event struct {
	ID        int64
	ForeignID string // of the order
	Type      int    // the Status
	Headers   map[Header]string
	CreatedAt time.Time
}

// Header names one header of an event.
type Header string

// The headers of every event.
const (
	HeaderWorkflowName  Header = "workflow_name"
	HeaderForeignID     Header = "foreign_id"
	HeaderTopic         Header = "topic"
	HeaderRunID         Header = "run_id"
	HeaderRunState      Header = "run_state"
	HeaderRecordVersion Header = "record_version"
)

// eventKey identifies an event, however often it is sent.
type eventKey struct {
	runID   string
	version int
}

func (e *Event) key() (eventKey, error) {
	runID := e.Headers[HeaderRunID]
	if runID == "" {
		return eventKey{}, fmt.Errorf("event %d has no header %s", e.ID, HeaderRunID)
	}
	version, err := strconv.Atoi(e.Headers[HeaderRecordVersion])
	if err != nil {
		return eventKey{}, fmt.Errorf("event %d: header %s: %w", e.ID, HeaderRecordVersion, err)
	}
	return eventKey{runID, version}, nil
}
