package sqlite

import (
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
)

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

// pausable is the user's clock, as memory reads it. Whoever calls memory with mu
// held pauses it meanwhile, since no user code may run under a lock.
type pausable struct {
	memstreamer.Clock
	paused atomic.Pointer[time.Time] // the time while it is paused
}

// Now implements [memstreamer.Clock].
func (c *pausable) Now() time.Time {
	if now := c.paused.Load(); now != nil {
		return *now
	}
	return c.Clock.Now()
}
