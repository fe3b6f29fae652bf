package fulfilment

import "context"

// Outbox is the name of the relay in [Hooks].
const Outbox = "outbox"

// relayBatch is how many events of the outbox the relay asks for at once.
const relayBatch = 64

// relay is the work of sending the outbox's events, oldest first. Each is deleted
// after it is sent; a failure between the two sends it again.
func (e *Engine) relay(ctx context.Context, succeeded func()) error {
	senders := make(map[string]EventSender) // by topic
	defer func() {
		for _, sender := range senders {
			sender.Close()
		}
	}()
	for {
		events, err := e.store.Outbox(ctx, relayBatch)
		if err != nil {
			return err
		}
		for _, event := range events {
			topic := event.Headers[HeaderTopic]
			sender, ok := senders[topic]
			if !ok {
				if sender, err = e.streamer.NewSender(ctx, topic); err != nil {
					return err
				}
				senders[topic] = sender
			}
			if err := sender.Send(ctx, event.ForeignID, event.Type, event.Headers); err != nil {
				return err
			}
			if err := e.store.DeleteOutboxEvent(ctx, event.ID); err != nil {
				return err
			}
		}
		succeeded()
		if len(events) > 0 {
			continue // there may be more
		}
		select {
		case <-e.saved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
