package fulfilment

import (
	"context"
	"sync"
)

// ledger holds the orders in progress: those to which something is owed.
type ledger struct {
	mu      sync.Mutex
	changed sync.Cond // there are fewer orders
	orders  map[string]owed
}

// owed is what an order is still in progress for: the ack of each of its events,
// as they may be acked out of order, and that the last has left the outbox, after
// all the others.
type owed uint

const lastSent owed = 1 << (Delivered + 1)

func ackOf(s Status) owed { return 1 << s }

// from is all that is owed to an order of a status.
func from(s Status) owed { return 2*lastSent - ackOf(s) }

// newLedger returns a ledger of the records that are not delivered or are in the
// outbox.
func newLedger(records, outbox []Record) *ledger {
	l := &ledger{orders: make(map[string]owed)}
	l.changed.L = &l.mu
	for _, record := range records {
		if record.Status != Delivered {
			l.orders[record.Order.ID] = from(record.Status)
		}
	}
	for _, record := range outbox {
		l.orders[record.Order.ID] |= from(record.Status)
	}
	return l
}

// begin adds an order, once that makes no more than limit. It returns ErrDuplicate
// for one that is there, and ctx's error if ctx is done before there is room.
func (l *ledger) begin(ctx context.Context, orderID string, limit int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.awaitLocked(ctx, func() bool { return limit == 0 || len(l.orders) < limit }); err != nil {
		return err
	}
	if l.orders[orderID] != 0 {
		return ErrDuplicate
	}
	l.orders[orderID] = from(Placed)
	return nil
}

// settle notes what is owed to an order no longer.
func (l *ledger) settle(orderID string, what owed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.orders[orderID] &^= what; l.orders[orderID] == 0 {
		delete(l.orders, orderID)
		l.changed.Broadcast()
	}
}

// empty returns nil once there is no order, or ctx's error.
func (l *ledger) empty(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.awaitLocked(ctx, func() bool { return len(l.orders) == 0 })
}

// awaitLocked returns nil once done reports true, or ctx's error if ctx is done
// first. It lets go of the lock while it waits.
func (l *ledger) awaitLocked(ctx context.Context, done func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})
	defer stop()
	for ctx.Err() == nil {
		if done() {
			return nil
		}
		l.changed.Wait()
	}
	return ctx.Err()
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.orders)
}
