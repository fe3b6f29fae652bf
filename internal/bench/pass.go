package bench

import (
	"context"
	"fmt"
	"sync"
)

// PassEvents has one sender pass events to receivers, each of which takes and acks
// them all. It returns how many came after one that was sent later. It fails if a
// receiver gets an event twice.
func PassEvents(ctx context.Context, sender Sender, receivers []Receiver, events int) (late int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	lates := make([]int, len(receivers))
	for i, r := range receivers {
		group.Go(func() {
			var err error
			if lates[i], err = takeAll(ctx, r, events); err != nil {
				cancel(fmt.Errorf("receiver %d: %w", i, err))
			}
		})
	}
	if err := SendAll(ctx, sender, events); err != nil {
		cancel(err)
	}
	group.Wait()
	for _, n := range lates {
		late += n
	}
	return late, context.Cause(ctx)
}

func takeAll(ctx context.Context, r Receiver, events int) (late int, err error) {
	seen, newest := make([]bool, events), -1
	for i := range events {
		foreignID, ack, err := r(ctx)
		if err != nil {
			return late, fmt.Errorf("event %d of %d: %w", i, events, err)
		}
		n, err := number(foreignID)
		switch {
		case err != nil || n < 0 || n >= events:
			return late, fmt.Errorf("got %q, which was not sent", foreignID)
		case seen[n]:
			return late, fmt.Errorf("got %q twice", foreignID)
		case n < newest:
			late++
		}
		seen[n], newest = true, max(newest, n)
		if err := ack(); err != nil {
			return late, fmt.Errorf("ack of %q: %w", foreignID, err)
		}
	}
	return late, nil
}
