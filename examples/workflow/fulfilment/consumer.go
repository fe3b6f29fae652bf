package fulfilment

import (
	"context"
	"fmt"
)

// consume returns the work of the consumer of a status's events: it opens a
// receiver, and does the step for each event and acks it. After a failure the
// event is the first that the next receiver of that name gets.
func (e *Engine) consume(s Status) work {
	name := steps[s].name
	var newestID int64 // received; an event that is no newer is a redelivery
	return func(ctx context.Context, succeeded func()) error {
		receiver, err := e.streamer.NewReceiver(ctx, s.Topic(), name)
		if err != nil {
			return err
		}
		defer receiver.Close()
		for {
			e.waiting.Add(1)
			event, ack, err := receiver.Recv(ctx)
			e.waiting.Add(-1)
			if err != nil {
				return err
			}
			if e.options.Received != nil {
				e.options.Received(name, event, event.ID <= newestID)
			}
			newestID = max(newestID, event.ID)
			if err := e.advance(ctx, event.ForeignID, s); err != nil {
				return err
			}
			if err := ack(); err != nil {
				return err
			}
			e.ledger.settle(event.ForeignID, ackOf(s))
			succeeded()
		}
	}
}

// advance does the step of a status for an order, unless that has been done.
func (e *Engine) advance(ctx context.Context, orderID string, s Status) error {
	if s == Delivered {
		return nil
	}
	record, err := e.store.Load(ctx, orderID)
	if err != nil {
		return fmt.Errorf("load %s: %w", orderID, err)
	}
	if record.Status > s {
		return nil // done before: only the ack was lost, or the event was sent twice
	}
	if record.Status < s {
		return fmt.Errorf("%s is %s, and not %s as its event says", orderID, record.Status, s)
	}
	if do := steps[s].do; do != nil {
		do(&record)
	}
	record.Status++
	if err := e.save(ctx, record); err != nil {
		return fmt.Errorf("save %s: %w", orderID, err)
	}
	return nil
}
