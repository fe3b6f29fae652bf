package fulfilment

import (
	"fmt"
	"strconv"
	"time"
)

// Header names one header of an event.
type Header string

// The headers of every event that the outbox sends.
const (
	HeaderWorkflowName  Header = "workflow_name"
	HeaderForeignID     Header = "foreign_id"
	HeaderTopic         Header = "topic"
	HeaderRunID         Header = "run_id"
	HeaderRunState      Header = "run_state"
	HeaderRecordVersion Header = "record_version"
)

// Event tells that a run has reached a status: Type is the [Status], and
// ForeignID the order's ID.
type Event struct {
	ID        int64
	ForeignID string
	Type      int
	Headers   map[Header]string
	CreatedAt time.Time
}

// Ack commits the event it came with.
type Ack func() error

// key returns the key of the event, from its headers.
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
