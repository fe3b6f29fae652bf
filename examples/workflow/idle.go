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

// idle measures what the engine's receivers cost with nothing to do and, with
// -spin, what those of a second engine on a polling streamer do.
func (p *program) idle(ctx context.Context, engine *fulfilment.Engine) error {
	if err := p.measure(ctx, engine, "parked"); err != nil || !p.config.spin {
		return err
	}
	polling, stop, err := startEngine(baseline.NewPolling())
	if err != nil {
		return err
	}
	defer stop()
	return p.measure(ctx, polling, "polling")
}

func (p *program) measure(ctx context.Context, engine *fulfilment.Engine, how string) error {
	p.progress.note("idling for %v …", p.config.idle)
	percent, err := idleCPU(ctx, p.config.idle)
	p.progress.clear()
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "idle, %d receivers %s: %.1f%% CPU\n", engine.Waiting(), how, percent)
	return nil
}

// idleCPU returns the processor time that this process uses while it does
// nothing for the time given, in percent of one processor. It fails with ctx's
// error when ctx is done before that.
func idleCPU(ctx context.Context, d time.Duration) (percent float64, err error) {
	// The memory that the work before has left is not to be collected, or given
	// back, meanwhile.
	debug.FreeOSMemory()
	timer := time.NewTimer(d)
	defer timer.Stop()
	start, used := time.Now(), cputime.Process()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	used = cputime.Process() - used
	return 100 * used.Seconds() / time.Since(start).Seconds(), nil
}
