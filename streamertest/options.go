package streamertest

import (
	"fmt"
	"time"
)

// Option configures [Run].
type Option func(*config)

type config struct {
	deadline time.Duration
	quiet    time.Duration
	inMemory bool
}

// WithDeadline sets how long the suite waits for each thing that must happen,
// before it fails. The default is 10 s, which an implementation that keeps the
// contract never needs.
func WithDeadline(d time.Duration) Option {
	return func(c *config) { c.deadline = d }
}

// WithQuiet sets how long the suite waits to see that a Recv with nothing to
// return stays where it is, or for events to grow older, about thirty times in all.
// The default is 10 ms, for an implementation in memory. Over a network, make it a
// few round trips: a shorter one may miss a fault, but never finds one that is not
// there.
func WithQuiet(d time.Duration) Option {
	return func(c *config) { c.quiet = d }
}

// InMemory has the suite ask for what only an implementation in memory promises:
// IDs that count 1, 2, 3 … from a new streamer on, a parked Recv that a Send
// wakes at once, an Ack that succeeds even after the streamer's Close, and no
// goroutine while receivers are parked or find events.
func InMemory() Option {
	return func(c *config) { c.inMemory = true }
}

func resolve(opts []Option) (config, error) {
	c := config{deadline: 10 * time.Second, quiet: 10 * time.Millisecond}
	for i, opt := range opts {
		if opt == nil {
			return c, fmt.Errorf("streamertest: Run: option %d of %d is nil", i+1, len(opts))
		}
		opt(&c)
	}
	if c.deadline <= 0 {
		return c, fmt.Errorf("streamertest: Run: WithDeadline(%v): the deadline must be longer than 0", c.deadline)
	}
	if c.quiet <= 0 {
		return c, fmt.Errorf("streamertest: Run: WithQuiet(%v): the quiet time must be longer than 0", c.quiet)
	}
	return c, nil
}
