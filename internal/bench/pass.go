package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
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
	seen := make([]bool, events)
	newest := -1
	for i := range events {
		foreignID, ack, err := r.Recv(ctx)
		if err != nil {
			return late, fmt.Errorf("event %d of %d: %w", i, events, err)
		}
		n, err := number(foreignID)
		switch {
		case err != nil:
			return late, err
		case n < 0 || n >= events:
			return late, fmt.Errorf("got event %d, which was not sent", n)
		case seen[n]:
			return late, fmt.Errorf("got event %d twice", n)
		case n < newest:
			late++
		}
		seen[n] = true
		newest = max(newest, n)
		if err := ack(); err != nil {
			return late, fmt.Errorf("ack of event %d: %w", n, err)
		}
	}
	return late, nil
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
