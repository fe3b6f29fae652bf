// Command soak has one streamer used for as long as it is told, by the runs and the
// checkers of lab/histories, one run after another, with retention on. It prints a line
// of figures every few seconds and a verdict at the end, and exits with status 1 when a
// checker found something, when the heap grew, or when goroutines were left. An
// interrupt ends it early, with a verdict. It imports memstreamer and lab/histories.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"time"

	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/lab/histories"
)

func main() {
	duration := flag.Duration("for", 10*time.Minute, "use the streamer for `DURATION`")
	every := flag.Duration("every", 5*time.Second, "print a line every `DURATION`")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "start with the plan of `SEED`; the default is the clock's")
	flag.Parse()
	if flag.NArg() > 0 || *duration <= 0 || *every <= 0 {
		fmt.Fprintln(os.Stderr, "soak: there are only flags, with durations of more than 0: soak -h lists them")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *duration)
	defer cancel()
	err := soak(ctx, *seed, *every, os.Stdout, func(clock memstreamer.Clock, retention time.Duration) histories.Streamer {
		return memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(retention))
	})
	if err != nil {
		fmt.Println("FAILED:", err)
		stop()
		os.Exit(1)
	}
	fmt.Println("PASSED: nothing lost, repeated after its ack or out of order; no goroutine left; the heap is flat")
}

// soak returns what is wrong with the streamer that makes returns, when ctx ends or when
// a checker has found something.
func soak(ctx context.Context, seed uint64, every time.Duration, out io.Writer, makes func(memstreamer.Clock, time.Duration) histories.Streamer) error {
	before := goleak.IgnoreCurrent()
	s := histories.NewSoak(makes)
	start, printed, calls := time.Now(), time.Now(), 0
	var sizes []uint64
	for first := seed; ctx.Err() == nil; seed++ {
		h := s.Run(seed)
		if found := append(histories.CheckCounting(h), histories.CheckLinearizable(h, time.Minute)...); len(found) > 0 {
			return fmt.Errorf("seed %d: %v", seed, found)
		}
		calls += len(h.Ops)
		stats := s.Streamer.(interface{ Stats() memstreamer.Stats }).Stats() // drops what may go
		if n := len(stats.Topics) + len(stats.Receivers); n > 0 {
			return fmt.Errorf("seed %d: nothing refers to these, and they are kept: %+v", seed, stats)
		}
		sizes = append(sizes, heap())
		if time.Since(printed) >= every {
			printed = time.Now()
			fmt.Fprintf(out, "%6.0fs  seed %d  runs %d  calls %d  heap %.1f MB  goroutines %d\n",
				time.Since(start).Seconds(), seed, seed-first+1, calls, float64(sizes[len(sizes)-1])/1e6, runtime.NumGoroutine())
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := goleak.Find(before); err != nil {
		return err
	}
	return grew(sizes)
}

// heap returns the size of the heap without its garbage.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// grew returns an error when the heap was never as small in the last third of the run as
// it was at its largest in the first, with a little to spare: what leaks only grows, and
// what is in use goes up and down.
func grew(sizes []uint64) error {
	third := len(sizes) / 3
	if third == 0 {
		return fmt.Errorf("%d measurements of the heap are too few to judge it: let it run longer", len(sizes))
	}
	const spare = 1 << 20
	largest, smallest := slices.Max(sizes[:third]), slices.Min(sizes[len(sizes)-third:])
	if smallest > largest+largest/20+spare {
		return fmt.Errorf("the heap grew: it was at most %.1f MB in the first third, and at least %.1f MB in the last",
			float64(largest)/1e6, float64(smallest)/1e6)
	}
	return nil
}
