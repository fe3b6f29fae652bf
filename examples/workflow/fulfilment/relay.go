package fulfilment

import "context"

// relayBatch is how many events of the outbox the relay asks for at once.
const relayBatch = 64

// Outbox is the name by which hooks are told of the relay's failures.
const Outbox = "outbox"

// relay sends the events of the outbox, oldest first, and deletes each after.
// One that fails between the two sends the event again.
type relay struct {
	engine  *Engine
	senders map[string]EventSender // by topic
	backoff backoff
}

// run sends until ctx is done. It looks into the outbox when it starts, since
// an engine before it may have left something there, and then whenever the
// engine has saved something.
func (r *relay) run(ctx context.Context) {
	defer r.closeSenders()
	for ctx.Err() == nil {
		if err := r.drain(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			r.engine.hooks.Failed(Outbox, err)
			r.closeSenders()
			r.backoff.wait(ctx)
			continue
		}
		r.backoff.reset()
		select {
		case <-r.engine.saved:
		case <-ctx.Done():
		}
	}
}

// drain sends until the outbox is empty.
func (r *relay) drain(ctx context.Context) error {
	for {
		events, err := r.engine.store.Outbox(ctx, relayBatch)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, event := range events {
			if err := r.send(ctx, event); err != nil {
				return err
			}
			if err := r.engine.store.DeleteOutboxEvent(ctx, event.ID); err != nil {
				return err
			}
		}
	}
}

func (r *relay) send(ctx context.Context, event OutboxEvent) error {
	topic := event.Headers[HeaderTopic]
	sender, ok := r.senders[topic]
	if !ok {
		var err error
		if sender, err = r.engine.streamer.NewSender(ctx, topic); err != nil {
			return err
		}
		r.senders[topic] = sender
	}
	return sender.Send(ctx, event.ForeignID, event.Type, event.Headers)
}

// closeSenders makes the next event of each topic open a new sender.
func (r *relay) closeSenders() {
	for topic, sender := range r.senders {
		// What a sender has sent stays sent, whatever its Close returns.
		_ = sender.Close()
		delete(r.senders, topic)
	}
}
