package fulfilment

import (
	"context"
	"errors"
)

// relayBatch is how many records of the outbox the relay asks for at once.
const relayBatch = 64

// relay is the work of sending the events of the outbox. Each leaves it after it
// is sent; a failure between the two sends it again.
func (e *Engine) relay(ctx context.Context, succeeded func()) error {
	for {
		records, err := e.store.Outbox(ctx, relayBatch)
		if err != nil {
			return err
		}
		for _, record := range records {
			if err := e.send(ctx, record.Event()); err != nil {
				return err
			}
			if err := e.store.Sent(ctx, record); err != nil {
				return err
			}
			if record.Status == Delivered {
				e.ledger.settle(record.Order.ID, lastSent)
			}
		}
		succeeded()
		if len(records) > 0 {
			continue // there may be more
		}
		select {
		case <-e.saved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *Engine) send(ctx context.Context, event Event) error {
	sender, err := e.streamer.NewSender(ctx, Status(event.Type).Topic())
	if err != nil {
		return err
	}
	return errors.Join(sender.Send(ctx, event.ForeignID, event.Type, event.Headers), sender.Close())
}
