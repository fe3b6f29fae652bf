package memstreamer_test

import (
	"sync/atomic"
	"time"
)

// steppedClock stands still until it is stepped. It holds nanoseconds.
type steppedClock struct{ now atomic.Int64 }

func newSteppedClock() *steppedClock {
	c := new(steppedClock)
	c.Step(1e6 * time.Second)
	return c
}

func (c *steppedClock) Now() time.Time       { return time.Unix(0, c.now.Load()) }
func (c *steppedClock) Step(d time.Duration) { c.now.Add(int64(d)) }
