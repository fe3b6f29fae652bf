package fulfilment

import (
	"context"
	"fmt"
)

// consume returns the work of a step's consumer: it opens a receiver, and does
// the step for each event and acks it. After a failure the event is the first
// that the next receiver of that name gets.
func (e *Engine) consume(s step) work {
	var newestID int64 // received; an event that is no newer is a redelivery
	return func(ctx context.Context, succeeded func()) error {
		receiver, err := e.streamer.NewReceiver(ctx, s.from.Topic(), s.name)
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
			if e.hooks.Received != nil {
				e.hooks.Received(s.name, event, event.ID <= newestID)
			}
			newestID = max(newestID, event.ID)
			key, err := event.key()
			if err != nil {
				return err
			}
			if err := e.advance(ctx, s, key); err != nil {
				return err
			}
			if err := ack(); err != nil {
				return err
			}
			// The hook comes first: Wait returns after it.
			if s.from == Delivered && e.pending.has(key) && e.hooks.Finished != nil {
				e.hooks.Finished(event.ForeignID)
			}
			e.pending.remove(key)
			succeeded()
		}
	}
}

// advance does a step for the run that an event tells of, unless that has been
// done.
func (e *Engine) advance(ctx context.Context, s step, key eventKey) error {
	if s.do == nil {
		return nil
	}
	record, err := e.store.Load(ctx, key.runID)
	if err != nil {
		return fmt.Errorf("load %s: %w", key.runID, err)
	}
	if record.Version > key.version {
		return nil // done before: only the ack was lost, or the event was sent twice
	}
	if record.Version < key.version || record.Status != s.from {
		return fmt.Errorf("%s is %s at version %d, and not %s at version %d as its event says",
			record.RunID, record.Status, record.Version, s.from, key.version)
	}
	if e.faults.BeforeStep != nil {
		if err := e.faults.BeforeStep(s.name, record); err != nil {
			return err
		}
	}
	s.do(&record)
	record.Status++
	record.Version++
	if err := e.save(ctx, record); err != nil {
		return fmt.Errorf("save %s: %w", record.RunID, err)
	}
	if e.faults.BeforeAck != nil {
		e.faults.BeforeAck(s.name, record)
	}
	return nil
}
