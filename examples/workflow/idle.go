package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/internal/baseline"
	"github.com/memstreamer/memstreamer/internal/cputime"
)

// measureIdle prints what the engine's receivers cost with nothing to do and,
// with -spin, what those of a second engine on a polling streamer do.
func (p *program) measureIdle(ctx context.Context, engine *fulfilment.Engine) error {
	if err := p.idleOn(ctx, engine, "parked"); err != nil || !p.spin {
		return err
	}
	polling, stop, err := startEngine(baseline.NewPolling())
	if err != nil {
		return err
	}
	defer stop()
	return p.idleOn(ctx, polling, "polling")
}

func (p *program) idleOn(ctx context.Context, engine *fulfilment.Engine, how string) error {
	p.progress.note("idling for %v …", p.idle)
	defer p.progress.clear()
	// Nobody is at work any more, but a consumer may still be on its way to Recv.
	for engine.Waiting() < len(fulfilment.Consumers()) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	// Garbage is collected now and not meanwhile.
	debug.FreeOSMemory()
	start, used := time.Now(), cputime.Process()
	select {
	case <-time.After(p.idle):
	case <-ctx.Done():
		return ctx.Err()
	}
	used = cputime.Process() - used
	percent := 100 * used.Seconds() / time.Since(start).Seconds()
	p.progress.clear()
	_, err := fmt.Fprintf(p.stdout, "idle, %d receivers %s: %.1f%% CPU\n", engine.Waiting(), how, percent)
	return err
}
