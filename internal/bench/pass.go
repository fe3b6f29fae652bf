package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// PassEvents has one sender pass events to receivers, each of which takes and acks
// them all. It fails if one of them gets an event twice or, where the broker
// promises an order, out of it.
func PassEvents(ctx context.Context, sender Sender, receivers []Receiver, events int, ordered bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for i, r := range receivers {
		group.Go(func() {
			if err := takeAll(ctx, r, events, ordered); err != nil {
				cancel(fmt.Errorf("receiver %d: %w", i, err))
			}
		})
	}
	if err := SendAll(ctx, sender, events); err != nil {
		cancel(err)
	}
	group.Wait()
	return context.Cause(ctx)
}

func takeAll(ctx context.Context, r Receiver, events int, ordered bool) error {
	seen := make([]bool, events)
	for want := range events {
		foreignID, ack, err := r.Recv(ctx)
		if err != nil {
			return fmt.Errorf("event %d of %d: %w", want, events, err)
		}
		n, err := number(foreignID)
		switch {
		case err != nil:
			return err
		case n < 0 || n >= events:
			return fmt.Errorf("got event %d, which was not sent", n)
		case seen[n]:
			return fmt.Errorf("got event %d twice", n)
		case ordered && n != want:
			return fmt.Errorf("got event %d, want %d", n, want)
		}
		seen[n] = true
		if err := ack(); err != nil {
			return fmt.Errorf("ack of event %d: %w", n, err)
		}
	}
	return nil
}

// number is the n that Outbox made foreignID of.
func number(foreignID string) (int, error) {
	digits, ok := strings.CutPrefix(foreignID, "order-")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return 0, fmt.Errorf("%q is no foreign ID of an outbox", foreignID)
	}
	return n - firstOrder, nil
}
