// Package program is what the examples that take orders through a fulfilment engine
// share: all of the program but its streamer and its store.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/internal/cli"
)

// Program is what one of the programs has of its own.
type Program struct {
	Name  string
	About string // begins its help

	// Durable is true if streamer and store outlive the process, which may be
	// killed at any time: the next start goes on with the orders that it finds.
	Durable bool

	// The defaults of the flags -repeat and -in-progress.
	Repeat, InProgress int

	// Flags adds flags of its own, and Check returns what is wrong with them. Each
	// may be nil.
	Flags func(*flag.FlagSet)
	Check func() error

	// Open returns the streamer and the store, and what closes them.
	Open func(context.Context) (memstreamer.EventStreamer, fulfilment.Store, func() error, error)
}

// Main runs the program, and exits with its status.
func (p Program) Main() {
	cli.Main(func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
		return p.Run(ctx, args, os.Stdin, stdout, stderr)
	})
}

// Run is the program, but for its process; it returns the exit status. Once ctx
// is done it reads no more, and finishes what it has accepted.
func (p Program) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	r := &run{Program: p, stdin: stdin, stdout: stdout, progress: newProgress(stderr), stats: newStats()}
	r.flags = flag.NewFlagSet(p.Name, flag.ContinueOnError)
	r.flags.StringVar(&r.in, "in", "", "read orders as JSON lines from `FILE`, - for standard input (default the embedded sample)")
	r.flags.IntVar(&r.repeat, "repeat", p.Repeat, "go through the embedded sample `N` times, with new order IDs each time")
	r.flags.BoolVar(&r.strict, "strict", false, "stop at the first line that is not an order, with exit status 1")
	r.flags.BoolVar(&r.spin, "spin", false, "measure a polling streamer too, idle beside the parked one")
	r.flags.IntVar(&r.inProgress, "in-progress", p.InProgress, "have `N` orders in progress at most; the input waits")
	r.flags.IntVar(&r.failEvery, "fail-every", 1000, "let one try of a step in `N` fail, 0 for none")
	r.flags.IntVar(&r.crashEvery, "crash-every", 2000, "crash a consumer at one step done in `N`, before it acks, 0 for none")
	r.flags.DurationVar(&r.idle, "idle", 2*time.Second, "idle for `DURATION` to measure the CPU used doing so, 0 to leave that out")
	if p.Flags != nil {
		p.Flags(r.flags)
	}
	if status, goOn := cli.Parse(r.flags, p.About, args, r.check, stdout, stderr); !goOn {
		return status
	}
	if r.input != nil {
		defer r.input.Close()
	}
	err := r.run(ctx)
	if err != nil {
		r.progress.printf("%s: %v", p.Name, err)
	}
	switch {
	case ctx.Err() != nil:
		return cli.Interrupted
	case err != nil:
		return cli.Failed
	}
	return cli.OK
}

// check returns what is wrong with the flags, and opens the input.
func (r *run) check() (err error) {
	repeatSet := false
	r.flags.Visit(func(f *flag.Flag) { repeatSet = repeatSet || f.Name == "repeat" })
	switch {
	case r.flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q: orders are read from -in FILE", r.flags.Arg(0))
	case r.in != "" && repeatSet:
		return errors.New("-repeat is for the embedded sample, not for -in")
	case r.repeat < 1:
		return fmt.Errorf("-repeat must be 1 or more, not %d", r.repeat)
	case r.inProgress < 1:
		return fmt.Errorf("-in-progress must be 1 or more, not %d", r.inProgress)
	case r.failEvery < 0 || r.failEvery == 1:
		return fmt.Errorf("-fail-every must be 0, or 2 or more, not %d: a step that always fails never ends", r.failEvery)
	case r.crashEvery < 0:
		return fmt.Errorf("-crash-every must be 0 or more, not %d", r.crashEvery)
	case r.idle < 0:
		return fmt.Errorf("-idle must be 0 or more, not %v", r.idle)
	case r.spin && r.idle == 0:
		return errors.New("-spin measures how a streamer idles, and -idle 0 leaves that out")
	}
	if r.Check != nil {
		if err := r.Check(); err != nil {
			return err
		}
	}
	r.input, err = openInput(r.in, r.stdin)
	return err
}
