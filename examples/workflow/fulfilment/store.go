package fulfilment

import (
	"context"
	"errors"
)

// Store keeps the records of orders, and an outbox of those whose event is still to
// be sent. It is safe for concurrent use.
type Store interface {
	// Save stores record and puts it in the outbox, in one transaction. It fails
	// with ErrConflict, and changes nothing, unless the record's status is the one
	// after that stored for its order, or Placed for a new order.
	Save(ctx context.Context, record Record) error

	// Load returns the record of an order. It fails with ErrNotFound if there is
	// none.
	Load(ctx context.Context, orderID string) (Record, error)

	// All returns the records of all orders, in any order.
	All(ctx context.Context) ([]Record, error)

	// Outbox returns the records of up to limit orders in the outbox, in any order.
	// It does not wait for one.
	Outbox(ctx context.Context, limit int) ([]Record, error)

	// Sent takes an order out of the outbox, unless it has a later record than this.
	Sent(ctx context.Context, record Record) error
}

var (
	// ErrConflict is returned by a Store for a record that has been saved
	// meanwhile.
	ErrConflict = errors.New("fulfilment: the record was changed meanwhile")
	// ErrNotFound is returned by a Store for an order that it has no record of.
	ErrNotFound = errors.New("fulfilment: no such order")
)
