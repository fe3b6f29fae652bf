package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// program is what the parts of a run share.
type program struct {
	config   config
	stdout   io.Writer
	progress *progress
	stats    *stats
	slots    chan struct{} // holds a token for each order in progress
}

func (p *program) run(ctx context.Context, in input, engine *fulfilment.Engine) int {
	unfollow := func() {}
	// A line that somebody types is not written over.
	if !isTerminal(in.reader) {
		unfollow = p.progress.follow(p.status)
	}
	err := p.feed(ctx, in, engine)
	if ctx.Err() != nil {
		p.progress.printf("workflow: interrupted: finishing what is in progress; interrupt again to stop at once")
	}
	// What was accepted is finished, whatever has ended the input.
	_ = engine.Wait(context.WithoutCancel(ctx))
	took := time.Since(p.stats.start)
	unfollow()
	writeTable(p.stdout, p.stats, took)

	if err == nil && p.config.idle > 0 {
		err = p.idle(ctx, engine)
	}
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case err != nil:
		p.progress.printf("workflow: %v", err)
		return exitFailed
	}
	return exitOK
}

// feed submits the input's orders. It returns nil at the end of the input, ctx's
// error once that is done, and otherwise what has ended the input early.
func (p *program) feed(ctx context.Context, in input, engine *fulfilment.Engine) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	entries := in.start(reading)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-entries:
			if !ok {
				return nil
			}
			if err := p.take(ctx, engine, e); err != nil {
				return err
			}
		}
	}
}

// take submits one order, or reports that it is none. It returns what is to end
// the input.
func (p *program) take(ctx context.Context, engine *fulfilment.Engine, e entry) error {
	err := e.err
	if err == nil {
		err = p.submit(ctx, engine, e)
	}
	if _, badLine := errors.AsType[*fulfilment.LineError](err); !badLine {
		return err
	}
	p.stats.badLines.Add(1)
	if p.config.strict {
		return fmt.Errorf("%w: stopped there, as -strict asks", err)
	}
	p.progress.printf("workflow: %v: skipped", err)
	return nil
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
			p.stats.failed(consumer)
			if !errors.Is(err, errOnPurpose) {
				p.progress.printf("workflow: %s: %v", consumer, err)
			}
		},
		Crashed: func(consumer string, reason any, stack []byte) {
			p.stats.crashed(consumer)
			if reason != errOnPurpose {
				p.progress.printf("workflow: %s crashed: %v\n%s", consumer, reason, stack)
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
