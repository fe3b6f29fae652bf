package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// The exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it
)

// run is the program without its process. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}
	err = fulfil(ctx, c, stdout, stderr)
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "example: interrupted: the next start goes on from here")
		return exitInterrupted
	default:
		fmt.Fprintf(stderr, "example: %v\n", err)
		return exitFailed
	}
}

// inProgress limits the orders accepted and not delivered, so that the first are
// delivered in the first second.
const inProgress = 100

// fulfil takes all orders through the workflow, and reports on them. It makes no
// directory before it has found its input and its server.
func fulfil(ctx context.Context, c config, stdout, stderr io.Writer) (err error) {
	in, err := openInput(c)
	if err != nil {
		return err
	}
	defer in.Close()
	streamer, closeStreamer, err := openStreamer(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStreamer()) }()
	store, err := openStore(c.dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	before, err := count(ctx, store)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "found %d orders in %s: %d delivered, %d to go on with\n",
		before.accepted, c.dir, before.delivered, before.accepted-before.delivered)

	var delivered, redelivered atomic.Int64
	room := make(chan struct{}, inProgress)
	engine, err := fulfilment.New(ctx, memstreamer.As[fulfilment.EventStreamer](streamer), store,
		fulfilment.WithHooks(fulfilment.Hooks{
			Received: func(_ string, _ *fulfilment.Event, again bool) {
				if again {
					redelivered.Add(1)
				}
			},
			Failed: func(consumer string, err error) { fmt.Fprintf(stderr, "example: %s: %v\n", consumer, err) },
			Finished: func(string) {
				delivered.Add(1)
				select {
				case <-room:
				default: // it was accepted by a start before
				}
			},
		}))
	if err != nil {
		return err
	}
	start := time.Now()
	err = work(ctx, engine, func() error {
		if err := submit(ctx, c, in, engine, room, stderr); err != nil {
			return err
		}
		if err := engine.Wait(ctx); err != nil {
			return err
		}
		return drained(ctx, store)
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

// drained waits until the outbox is empty. An order's last event may be received
// before it is deleted there.
func drained(ctx context.Context, store fulfilment.Store) error {
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

// openInput opens the file of orders, or an empty one for the sample.
func openInput(c config) (io.ReadCloser, error) {
	if c.in == "" {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return os.Open(c.in)
}

// submit has the engine accept all orders that it has not accepted before.
func submit(ctx context.Context, c config, in io.Reader, engine *fulfilment.Engine, room chan struct{}, stderr io.Writer) error {
	if c.in != "" {
		return submitAll(ctx, in, "", engine, room, stderr)
	}
	for round := range c.repeat {
		suffix := ""
		if round > 0 {
			suffix = fmt.Sprintf("-%d", round+1)
		}
		if err := submitAll(ctx, strings.NewReader(fulfilment.Sample), suffix, engine, room, stderr); err != nil {
			return err
		}
	}
	return nil
}

// submitAll submits the orders of one file, each when there is room for it.
func submitAll(ctx context.Context, r io.Reader, suffix string, engine *fulfilment.Engine, room chan struct{}, stderr io.Writer) error {
	orders := fulfilment.NewReader(r)
	for {
		order, err := orders.Read()
		if err == io.EOF {
			return nil
		}
		if _, badLine := errors.AsType[*fulfilment.LineError](err); badLine {
			fmt.Fprintf(stderr, "example: %v: skipped\n", err)
			continue
		}
		if err != nil {
			return err
		}
		order.ID += suffix
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := engine.Submit(ctx, order); errors.Is(err, fulfilment.ErrDuplicate) {
			select {
			case <-room:
			default:
			}
		} else if err != nil {
			return err
		}
	}
}

// counts is how the orders in a store stand.
type counts struct {
	accepted, delivered int
	wrong               []string // delivered orders with something missing or done twice
}

func count(ctx context.Context, store *fileStore) (counts, error) {
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
