package fulfilment

import (
	"context"
	"errors"
)

// Store keeps the records of runs, and an outbox of the events that tell of
// them. An implementation is safe for concurrent use. One that is durable lets
// an [Engine] go on after a restart.
type Store interface {
	// Save stores record and adds event to the outbox, in one transaction: both
	// or neither. The event's ID is the store's to give. The record's version must be one more
	// than that of the record stored for its run, or 1 where there is none;
	// otherwise Save changes nothing and fails with ErrConflict.
	Save(ctx context.Context, record Record, event OutboxEvent) error

	// Load returns the record of a run, and fails with ErrNotFound where there
	// is none.
	Load(ctx context.Context, runID string) (Record, error)

	// Unfinished returns the records that are not Delivered, in any order.
	Unfinished(ctx context.Context) ([]Record, error)

	// Outbox returns the oldest events of the outbox, in the order in which
	// they were saved and limit of them at most. It returns none where the
	// outbox is empty: it does not wait.
	Outbox(ctx context.Context, limit int) ([]OutboxEvent, error)

	// DeleteOutboxEvent takes an event out of the outbox. One that is not there
	// is no error.
	DeleteOutboxEvent(ctx context.Context, id int64) error
}

// OutboxEvent is an event that is still to be sent.
type OutboxEvent struct {
	ID        int64 // rising in the order of the saves
	ForeignID string
	Type      int
	Headers   map[Header]string
}

var (
	// ErrConflict is returned by a Store for a record that was saved by
	// someone else meanwhile.
	ErrConflict = errors.New("fulfilment: the record was changed meanwhile")
	// ErrNotFound is returned by a Store for a run it has no record of.
	ErrNotFound = errors.New("fulfilment: no such run")
)
