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

// run is the program, but for its process; it returns the exit status.
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

// fulfil takes all orders through the workflow, and reports on them.
func fulfil(ctx context.Context, c config, stdout, stderr io.Writer) (err error) {
	store, err := openStore(c.dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	streamer, closeStreamer, err := openStreamer(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStreamer()) }()

	before, err := count(ctx, store)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "found %d orders in %s: %d delivered, %d to go on with\n",
		before.accepted, c.dir, before.delivered, before.accepted-before.delivered)

	var delivered, redelivered atomic.Int64
	engine, err := fulfilment.New(ctx, memstreamer.As[fulfilment.EventStreamer](streamer), store,
		fulfilment.WithHooks(fulfilment.Hooks{
			Received: func(_ string, _ *fulfilment.Event, again bool) {
				if again {
					redelivered.Add(1)
				}
			},
			Failed:   func(consumer string, err error) { fmt.Fprintf(stderr, "example: %s: %v\n", consumer, err) },
			Finished: func(string) { delivered.Add(1) },
		}))
	if err != nil {
		return err
	}
	start := time.Now()
	err = work(ctx, engine, func() error {
		return submit(ctx, c, engine, stderr)
	}, func() {
		fmt.Fprintf(stdout, "%d delivered since this start, after %v\n", delivered.Load(), time.Since(start).Round(time.Second))
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

// work runs the engine until what submit has submitted is done, and calls
// progress every other second.
func work(ctx context.Context, engine *fulfilment.Engine, submit func() error, progress func()) error {
	running, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	workers.Go(func() { engine.Run(running) })
	workers.Go(func() {
		ticker := time.NewTicker(2 * time.Second)
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
	if err := submit(); err != nil {
		return err
	}
	return engine.Wait(ctx)
}

// submit has the engine accept all orders that it has not accepted before.
func submit(ctx context.Context, c config, engine *fulfilment.Engine, stderr io.Writer) error {
	if c.in != "" {
		file, err := os.Open(c.in)
		if err != nil {
			return err
		}
		defer file.Close()
		return submitAll(ctx, file, "", engine, stderr)
	}
	for round := range c.repeat {
		suffix := ""
		if round > 0 {
			suffix = fmt.Sprintf("-%d", round+1)
		}
		if err := submitAll(ctx, strings.NewReader(fulfilment.Sample), suffix, engine, stderr); err != nil {
			return err
		}
	}
	return nil
}

func submitAll(ctx context.Context, r io.Reader, suffix string, engine *fulfilment.Engine, stderr io.Writer) error {
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
		if err := engine.Submit(ctx, order); err != nil && !errors.Is(err, fulfilment.ErrDuplicate) {
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
