// Command soak uses a streamer as a daemon does, for as long as it is told:
// many topics and receivers that crash between Recv and Ack and open again,
// with retention on. It prints a line of figures every few seconds and a verdict
// at the end, and exits with status 1 when an event was lost, repeated after its
// ack or out of order, when the heap grew, or when goroutines were left. An
// interrupt ends it early, with a verdict.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/memstreamer/memstreamer"
)

func main() {
	c := defaults()
	flag.DurationVar(&c.duration, "for", c.duration, "how long to send")
	flag.DurationVar(&c.every, "every", c.every, "how often to print a line")
	flag.DurationVar(&c.retention, "retention", c.retention, "the streamer's retention")
	flag.IntVar(&c.topics, "topics", c.topics, "number of topics")
	flag.IntVar(&c.receivers, "receivers", c.receivers, "number of receivers, a multiple of twice the topics")
	flag.IntVar(&c.rate, "rate", c.rate, "events a second, over all topics")
	flag.Uint64Var(&c.seed, "seed", c.seed, "of all that is left to chance; the scheduler is not")
	flag.Parse()
	if flag.NArg() > 0 {
		fail(fmt.Errorf("unexpected argument %q: there are only flags", flag.Arg(0)))
	}
	if err := c.check(); err != nil {
		fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	failures := run(ctx, c, memstreamer.New(memstreamer.WithRetention(c.retention)), os.Stdout)
	if len(failures) > 0 {
		fmt.Println("FAILED")
		for _, f := range failures {
			fmt.Println("  " + f)
		}
		os.Exit(1)
	}
	fmt.Println("PASSED: nothing lost, repeated after its ack or out of order; the heap flat; no goroutine left")
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "soak: %v\n", err)
	os.Exit(2)
}

// config is what a soak does.
type config struct {
	duration, every, retention time.Duration
	topics, receivers, rate    int
	seed                       uint64
}

func defaults() config {
	return config{
		duration: 10 * time.Minute, every: 5 * time.Second, retention: 2 * time.Second,
		topics: 64, receivers: 512, rate: 5000, seed: uint64(time.Now().UnixNano()),
	}
}

// settling is how long it takes until what is kept has stopped growing: some
// receivers rest for up to three retention periods.
func (c config) settling() time.Duration { return 5 * c.retention }

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
	case c.duration < 2*c.settling():
		return fmt.Errorf("-for is %v: with a retention of %v the heap can be judged after %v", c.duration, c.retention, 2*c.settling())
	}
	return nil
}
