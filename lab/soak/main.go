// Command soak uses a streamer as a daemon does, for as long as it is told:
// many topics and receivers that crash between Recv and Ack and open again,
// with retention on. It prints a line of figures every few seconds and a verdict
// at the end, and exits with status 1 when an event was lost, repeated after its
// ack or out of order, when the heap grew, or when goroutines were left, and with
// status 2 when the flags make no sense. An interrupt ends it early, with a
// verdict on what there was time to judge.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/memstreamer/memstreamer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does what it does by default
	os.Exit(program(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// program returns the exit status.
func program(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "soak: %v\nsoak -h lists the flags.\n", err)
		return 2
	}
	if failures := run(ctx, c, memstreamer.New(memstreamer.WithRetention(c.retention)), stdout); len(failures) > 0 {
		return 1
	}
	return 0
}

// parse tells what is wrong with args, and prints what they can be if asked for help.
func parse(args []string, stdout io.Writer) (config, error) {
	c := defaults()
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&c.duration, "for", c.duration, "send for `DURATION`")
	flags.DurationVar(&c.every, "every", c.every, "print a line every `DURATION`")
	flags.DurationVar(&c.retention, "retention", c.retention, "have the streamer keep events for `DURATION`")
	flags.IntVar(&c.topics, "topics", c.topics, "use `N` topics")
	flags.IntVar(&c.receivers, "receivers", c.receivers, "use `N` receivers, a multiple of twice the topics")
	flags.IntVar(&c.rate, "rate", c.rate, "send `N` events a second, over all topics")
	flags.Uint64Var(&c.seed, "seed", c.seed, "draw all that is left to chance from `SEED`, 0 for the clock; the scheduler is not drawn")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, about, "\n\nUsage: soak [flags]\n\n")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: there are only flags", flags.Arg(0))
	case err == nil:
		err = c.check()
	}
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano())
	}
	return c, err
}

const about = `soak uses a streamer as a daemon does, with receivers that crash and retention on,
and judges whether it loses or repeats events, or leaks.`

// config is what a soak does.
type config struct {
	duration, every, retention time.Duration
	topics, receivers, rate    int
	seed                       uint64
}

func defaults() config {
	return config{
		duration: 10 * time.Minute, every: 5 * time.Second, retention: 2 * time.Second,
		topics: 64, receivers: 512, rate: 5000,
	}
}

// settling is how long it takes until what is kept has stopped growing: some
// receivers rest for up to three retention periods.
func (c config) settling() time.Duration { return 5 * c.retention }

// measuring is how often the heap is measured.
func (c config) measuring() time.Duration { return min(time.Second, c.every) }

// judging is how long it takes until the heap can be judged: it is measured for
// as long as it has settled, and three times at least.
func (c config) judging() time.Duration {
	return c.settling() + max(c.settling(), 4*c.measuring())
}

func (c config) check() error {
	switch {
	case c.topics < 1:
		return fmt.Errorf("-topics is %d: there has to be one", c.topics)
	case c.receivers < 2*c.topics || c.receivers%(2*c.topics) > 0:
		return fmt.Errorf("-receivers is %d: it has to be a multiple of %d, twice the topics", c.receivers, 2*c.topics)
	case c.rate < c.topics:
		return fmt.Errorf("-rate is %d: there has to be an event a second for each of %d topics", c.rate, c.topics)
	case c.retention <= 0 || c.every <= 0:
		return fmt.Errorf("-retention is %v and -every %v: both have to be more than 0", c.retention, c.every)
	case c.duration < c.judging():
		return fmt.Errorf("-for is %v: with a retention of %v the heap can be judged after %v", c.duration, c.retention, c.judging())
	}
	return nil
}
