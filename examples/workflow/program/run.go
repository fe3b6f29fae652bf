package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/internal/baseline"
	"github.com/memstreamer/memstreamer/internal/cputime"
)

// run is what the parts of a run share.
type run struct {
	Program
	stdin    io.Reader
	input    io.ReadCloser // nil for the sample
	stdout   io.Writer
	progress *progress
	stats    *stats

	flags                                     *flag.FlagSet
	in                                        string
	repeat, inProgress, failEvery, crashEvery int
	strict, spin                              bool
	idle                                      time.Duration
}

// run runs the orders through an engine, and measures that. It returns nil early
// once ctx is done.
func (r *run) run(ctx context.Context) (err error) {
	streamer, store, closeBoth, err := r.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBoth()) }()
	if r.Durable {
		accepted, delivered, err := count(ctx, store)
		if err != nil {
			return err
		}
		fmt.Fprintf(r.stdout, "found %d orders: %d delivered, %d to go on with\n", accepted, delivered, accepted-delivered)
	}
	faulty := &faultyStore{Store: store, delivered: &r.stats.delivered, failEvery: r.failEvery, crashEvery: r.crashEvery}
	engine, stop, err := startEngine(ctx, streamer, faulty, fulfilment.Options{
		InProgress: r.inProgress,
		Received:   r.stats.received,
		Failed: func(consumer string, err error) {
			r.stats.failed(consumer, err)
			if !errors.Is(err, errOnPurpose) {
				r.progress.printf("%s: %s: %v", r.Name, consumer, err)
			}
		},
	})
	if err != nil {
		return err
	}
	defer stop()
	if err := r.work(ctx, engine, store); err != nil || r.idle == 0 {
		return err
	}
	if err := r.measureIdle(ctx, engine, "parked"); err != nil || !r.spin {
		return err
	}
	polling, stopPolling, err := startEngine(ctx, baseline.NewPolling(), fulfilment.NewMemoryStore(), fulfilment.Options{})
	if err != nil {
		return err
	}
	defer stopPolling()
	return r.measureIdle(ctx, polling, "polling")
}

// startEngine starts an engine, which goes on after ctx is done. The function that
// it returns stops the engine and waits for its end.
func startEngine(ctx context.Context, streamer memstreamer.EventStreamer, store fulfilment.Store, options fulfilment.Options) (*fulfilment.Engine, func(), error) {
	engine, err := fulfilment.New(ctx, memstreamer.As[fulfilment.EventStreamer](streamer), store, options)
	if err != nil {
		return nil, nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var ended sync.WaitGroup
	ended.Go(func() { engine.Run(running) })
	return engine, func() {
		cancel()
		ended.Wait()
	}, nil
}

// work feeds the engine, finishes what it has accepted, whatever has ended the
// input, and prints the table.
func (r *run) work(ctx context.Context, engine *fulfilment.Engine, store fulfilment.Store) error {
	unfollow := func() {}
	if r.in == "-" && isTerminal(r.stdin) {
		r.progress.printf("%s: type orders, a JSON line each, and end with Ctrl-D", r.Name)
	} else { // what somebody types would be written over
		unfollow = r.progress.follow(func() string { return r.stats.line(engine.InProgress()) })
	}
	// Somebody may be yet to type when ctx ends: what reads ends after that.
	fed := make(chan error, 1)
	go func() { fed <- r.feed(ctx, engine) }()
	var err error
	select {
	case err = <-fed:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		err = nil
		r.progress.printf("%s: interrupted: finishing what is in progress; interrupt again to stop at once", r.Name)
	}
	ctx = context.WithoutCancel(ctx)
	_ = engine.Wait(ctx) // fails with ctx alone
	took := time.Since(r.stats.start)
	unfollow()
	if err := r.stats.writeTable(r.stdout, took); err != nil {
		return err
	}
	accepted, delivered, countErr := count(ctx, store)
	switch {
	case countErr != nil:
		return countErr
	case delivered < accepted:
		return fmt.Errorf("%d of %d orders are delivered", delivered, accepted)
	case r.Durable:
		fmt.Fprintf(r.stdout, "every order is delivered, charged once and picked once: %d in all\n", accepted)
	}
	return err
}

// feed has engine accept the orders of the input until its end, an error, or a line
// that is not accepted, with -strict.
func (r *run) feed(ctx context.Context, engine *fulfilment.Engine) error {
	accept := func(l line) error {
		err := l.err
		if err == nil {
			err = engine.Submit(ctx, l.order)
		}
		switch duplicate := errors.Is(err, fulfilment.ErrDuplicate); {
		case duplicate && r.Durable:
			return nil // a start before this one may have accepted it
		case duplicate:
			err = fmt.Errorf("%q: %w", l.order.ID, err)
		case l.err == nil || ctx.Err() != nil:
			return err
		}
		r.stats.badLines.Add(1)
		if r.strict {
			return fmt.Errorf("line %d: %w: stopped there, as -strict asks", l.number, err)
		}
		r.progress.printf("%s: line %d: %v: skipped", r.Name, l.number, err)
		return nil
	}
	if r.input == nil {
		return readSample(r.repeat, accept)
	}
	return readLines(r.input, accept)
}

// count returns how many orders a store has, and how many it has as delivered. It
// fails if one of those is not charged once and picked once.
func count(ctx context.Context, store fulfilment.Store) (accepted, delivered int, err error) {
	records, err := store.All(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, r := range records {
		if r.Status != fulfilment.Delivered {
			continue
		}
		delivered++
		if r.ChargedCents != r.Order.TotalCents() || r.PiecesPicked != r.Order.Quantity {
			return 0, 0, fmt.Errorf("order %q is delivered, charged %d cents of %d, and picked %d pieces of %d",
				r.Order.ID, r.ChargedCents, r.Order.TotalCents(), r.PiecesPicked, r.Order.Quantity)
		}
	}
	return len(records), delivered, nil
}

// measureIdle prints what the engine's receivers cost with nothing to do.
func (r *run) measureIdle(ctx context.Context, engine *fulfilment.Engine, how string) error {
	if r.progress.terminal {
		r.progress.show(fmt.Sprintf("idling for %v …", r.idle))
	}
	defer r.progress.clear()
	// Nobody is at work any more, but a consumer may still be on its way to Recv.
	for engine.Waiting() < len(fulfilment.Consumers()) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	// Garbage is collected now and not meanwhile.
	debug.FreeOSMemory()
	start, used := time.Now(), cputime.Process()
	select {
	case <-time.After(r.idle):
	case <-ctx.Done():
		return nil
	}
	used = cputime.Process() - used
	percent := 100 * used.Seconds() / time.Since(start).Seconds()
	r.progress.clear()
	_, err := fmt.Fprintf(r.stdout, "idle, %d receivers %s: %.1f%% CPU\n", engine.Waiting(), how, percent)
	return err
}
