package fulfilment

import (
	"context"
	"errors"
)

// Store keeps the records of runs, and an outbox of the events that tell of
// them. It is safe for concurrent use, and its methods fail once their context
// is done.
type Store interface {
	// Save stores record and adds event to the outbox, under an ID of the
	// store's, in one transaction. It fails with ErrConflict, and changes
	// nothing, unless the record's version is one more than that stored for its
	// run, or 1 for a new run.
	Save(ctx context.Context, record Record, event OutboxEvent) error

	// Load returns the record of a run. It fails with ErrNotFound if there is
	// none.
	Load(ctx context.Context, runID string) (Record, error)

	// Unfinished returns the records that are not Delivered, in any order.
	Unfinished(ctx context.Context) ([]Record, error)

	// Outbox returns up to limit events of the outbox, in the order in which
	// they were saved. It does not wait for one.
	Outbox(ctx context.Context, limit int) ([]OutboxEvent, error)

	// DeleteOutboxEvent takes an event out of the outbox, if it is there.
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
	// ErrConflict is returned by a Store for a record that has been saved
	// meanwhile.
	ErrConflict = errors.New("fulfilment: the record was changed meanwhile")
	// ErrNotFound is returned by a Store for a run that it has no record of.
	ErrNotFound = errors.New("fulfilment: no such run")
)
