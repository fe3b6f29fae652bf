// Package durable takes orders through a fulfilment engine whose streamer and
// store outlive the process, which may be killed at any time and started again.
package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// inProgress limits the orders accepted and not delivered, so that the first are
// delivered in the first second.
const inProgress = 100

// Store is a [fulfilment.Store] that can list its records.
type Store interface {
	fulfilment.Store
	// All returns the records of all runs.
	All(ctx context.Context) ([]fulfilment.Record, error)
}

// Orders are what the engine is given.
type Orders struct {
	File   string // JSON lines; empty for the sample
	Repeat int    // goes through the sample so often, with new order IDs each time
}

// Run goes on with the orders that a process before it has left in store and
// streamer, and has the engine accept those of orders that it has not accepted
// before. It tells stdout what it finds and does, and stderr what goes wrong and
// is tried again. It returns nil once every order is delivered, charged once and
// picked once, and otherwise an error that says what is wrong.
func Run(ctx context.Context, streamer fulfilment.EventStreamer, store Store, orders Orders, stdout, stderr io.Writer) error {
	before, err := count(ctx, store)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "found %d orders: %d delivered, %d to go on with\n",
		before.accepted, before.delivered, before.accepted-before.delivered)

	var delivered, redelivered atomic.Int64
	room := make(room, inProgress)
	engine, err := fulfilment.New(ctx, streamer, store, fulfilment.WithHooks(fulfilment.Hooks{
		Received: func(_ string, _ *fulfilment.Event, again bool) {
			if again {
				redelivered.Add(1)
			}
		},
		Failed: func(consumer string, err error) { fmt.Fprintf(stderr, "%s: %v\n", consumer, err) },
		Finished: func(string) {
			delivered.Add(1)
			room.leave()
		},
	}))
	if err != nil {
		return err
	}
	start := time.Now()
	err = work(ctx, engine, func() error {
		if err := orders.submit(ctx, engine, room, stderr); err != nil {
			return err
		}
		if err := engine.Wait(ctx); err != nil {
			return err
		}
		return relayed(ctx, store)
	}, func() {
		fmt.Fprintf(stdout, "%5d delivered since this start, after %v\n", delivered.Load(), time.Since(start).Round(time.Second))
	})
	if err != nil {
		return err
	}

	after, err := count(ctx, store)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%-34s %8d\n", "orders accepted", after.accepted)
	fmt.Fprintf(stdout, "%-34s %8d\n", "  delivered by starts before", before.delivered)
	fmt.Fprintf(stdout, "%-34s %8d\n", "  accepted before, delivered now", before.accepted-before.delivered)
	fmt.Fprintf(stdout, "%-34s %8d\n", "  accepted and delivered now", after.accepted-before.accepted)
	fmt.Fprintf(stdout, "%-34s %8d\n", "events received again", redelivered.Load())
	fmt.Fprintf(stdout, "%-34s %8v\n", "time", time.Since(start).Round(time.Millisecond))
	if after.delivered < after.accepted || len(after.wrong) > 0 {
		return fmt.Errorf("%d of %d orders are delivered, and these are not as they should be: %s",
			after.delivered, after.accepted, strings.Join(after.wrong, ", "))
	}
	fmt.Fprintln(stdout, "every order is delivered, charged once and picked once")
	return nil
}

// work runs the engine while f does, and calls progress every second.
func work(ctx context.Context, engine *fulfilment.Engine, f func() error, progress func()) error {
	running, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	workers.Go(func() { engine.Run(running) })
	workers.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				progress()
			case <-running.Done():
				return
			}
		}
	})
	return f()
}

// relayed waits until the outbox is empty. An order's last event may be received
// before the relay deletes it there.
func relayed(ctx context.Context, store Store) error {
	for {
		events, err := store.Outbox(ctx, 1)
		if err != nil || len(events) == 0 {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// room has a token for each order in progress that this process submitted.
type room chan struct{}

// enter waits for room.
func (r room) enter(ctx context.Context) error {
	select {
	case r <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave does not wait: an order that a process before this one submitted has no
// token.
func (r room) leave() {
	select {
	case <-r:
	default:
	}
}

// submit has the engine accept all orders that it has not accepted before.
func (o Orders) submit(ctx context.Context, engine *fulfilment.Engine, room room, stderr io.Writer) error {
	if o.File != "" {
		file, err := os.Open(o.File)
		if err != nil {
			return err
		}
		defer file.Close()
		return submit(ctx, engine, room, file, "", stderr)
	}
	for round := range o.Repeat {
		suffix := ""
		if round > 0 {
			suffix = fmt.Sprintf("-%d", round+1)
		}
		if err := submit(ctx, engine, room, strings.NewReader(fulfilment.Sample), suffix, stderr); err != nil {
			return err
		}
	}
	return nil
}

// submit submits the orders of one file, each when there is room for it.
func submit(ctx context.Context, engine *fulfilment.Engine, room room, r io.Reader, suffix string, stderr io.Writer) error {
	orders := fulfilment.NewReader(r)
	for {
		order, err := orders.Read()
		if err == io.EOF {
			return nil
		}
		if _, ok := errors.AsType[*fulfilment.LineError](err); ok {
			fmt.Fprintf(stderr, "%v: skipped\n", err)
			continue
		}
		if err != nil {
			return err
		}
		order.ID += suffix
		if err := room.enter(ctx); err != nil {
			return err
		}
		if err := engine.Submit(ctx, order); errors.Is(err, fulfilment.ErrDuplicate) {
			room.leave()
		} else if err != nil {
			return err
		}
	}
}

// counts are how the orders in a store stand.
type counts struct {
	accepted, delivered int
	wrong               []string // delivered with something missing or done twice
}

func count(ctx context.Context, store Store) (counts, error) {
	records, err := store.All(ctx)
	if err != nil {
		return counts{}, err
	}
	c := counts{accepted: len(records)}
	for _, r := range records {
		if r.Status != fulfilment.Delivered {
			continue
		}
		c.delivered++
		if r.Version != int(fulfilment.Delivered) || r.ChargedCents != r.Order.TotalCents() || r.PiecesPicked != r.Order.Quantity {
			c.wrong = append(c.wrong, r.Order.ID)
		}
	}
	return c, nil
}
