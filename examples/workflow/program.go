package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"
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

// run is the program, but for its process; it returns the exit status. Once ctx
// is done it reads no more, and finishes what it has accepted.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	var in io.Reader
	closeIt := func() {}
	if err == nil {
		in, closeIt, err = c.open(stdin)
	}
	if err != nil {
		fmt.Fprintf(stderr, "workflow: %v\nworkflow -h lists the flags.\n", err)
		return exitUsage
	}
	defer closeIt()
	p := &program{
		config:   c,
		stdout:   stdout,
		progress: newProgress(stderr),
		stats:    newStats(),
		slots:    make(chan struct{}, c.inProgress),
	}
	err = p.run(ctx, in)
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case err != nil:
		p.progress.printf("workflow: %v", err)
		return exitFailed
	}
	return exitOK
}

// program is what the parts of a run share.
type program struct {
	config
	stdout   io.Writer
	progress *progress
	stats    *stats
	slots    chan struct{} // holds a token for each order in progress
}

func (p *program) run(ctx context.Context, in io.Reader) error {
	streamer := memstreamer.New()
	defer streamer.Close()
	engine, stop, err := startEngine(streamer,
		fulfilment.WithHooks(p.hooks()), fulfilment.WithFaults(newFaults(p.failEvery, p.crashEvery)))
	if err != nil {
		return err
	}
	defer stop()
	unfollow := func() {}
	if isTerminal(in) {
		p.progress.printf("workflow: type orders, a JSON line each, and end with Ctrl-D")
	} else { // what somebody types would be written over
		unfollow = p.progress.follow(p.status)
	}
	err = p.feed(ctx, in, engine)
	if ctx.Err() != nil {
		p.progress.printf("workflow: interrupted: finishing what is in progress; interrupt again to stop at once")
	}
	// What was accepted is finished, whatever has ended the input.
	_ = engine.Wait(context.WithoutCancel(ctx))
	took := time.Since(p.stats.start)
	unfollow()
	if err := writeTable(p.stdout, p.stats, took); err != nil {
		return err
	}
	if err != nil || p.config.idle == 0 {
		return err
	}
	return p.measureIdle(ctx, engine)
}

// startEngine starts an engine on streamer and an empty store. The function that
// it returns stops the engine and waits for its end.
func startEngine(streamer memstreamer.EventStreamer, opts ...fulfilment.Option) (*fulfilment.Engine, func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	engine, err := fulfilment.New(ctx,
		memstreamer.As[fulfilment.EventStreamer](streamer), fulfilment.NewMemoryStore(), opts...)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	var running sync.WaitGroup
	running.Go(func() { engine.Run(ctx) })
	return engine, func() {
		cancel()
		running.Wait()
	}, nil
}

// feed submits the orders of in, and reports lines that are none. It returns nil
// at the end of the input, and otherwise what has ended it early.
func (p *program) feed(ctx context.Context, in io.Reader, engine *fulfilment.Engine) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	for entry := range read(reading, in, p.repeat) {
		err := entry.err
		if err == nil {
			err = p.submit(ctx, engine, entry)
		}
		if _, badLine := errors.AsType[*fulfilment.LineError](err); badLine {
			p.stats.badLines.Add(1)
			if p.strict {
				return fmt.Errorf("%w: stopped there, as -strict asks", err)
			}
			p.progress.printf("workflow: %v: skipped", err)
		} else if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// submit waits for a slot and submits an order there.
func (p *program) submit(ctx context.Context, engine *fulfilment.Engine, e entry) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	// The order is accepted in whole or not at all, so ctx is not for this.
	err := engine.Submit(context.WithoutCancel(ctx), e.order)
	if err != nil {
		<-p.slots
	}
	if errors.Is(err, fulfilment.ErrDuplicate) {
		return &fulfilment.LineError{Line: e.line, Err: fmt.Errorf("%q: %w", e.order.ID, err)}
	}
	return err
}

// hooks returns the hooks that count, and that show what should not happen.
func (p *program) hooks() fulfilment.Hooks {
	return fulfilment.Hooks{
		Received: p.stats.received,
		Failed: func(consumer string, err error) {
			p.stats.failed(consumer, err)
			if !errors.Is(err, errOnPurpose) {
				p.progress.printf("workflow: %s: %v", consumer, err)
			}
		},
		Finished: func(string) {
			p.stats.delivered.Add(1)
			<-p.slots
		},
	}
}

// status is the line that shows how far the work is.
func (p *program) status() string {
	events := p.stats.events.Load()
	return fmt.Sprintf("%s orders delivered, %d in progress, %s events, %s a second",
		thousands(p.stats.delivered.Load()), len(p.slots), thousands(events),
		thousands(rate(events, time.Since(p.stats.start))))
}
