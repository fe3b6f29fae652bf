package histories

import (
	"sync"
	"time"
)

// epoch is the time a Clock starts at.
var epoch = time.Unix(1_000_000, 0)

// Clock is a clock that stands still until it is stepped, in either direction.
type Clock struct {
	mu    sync.Mutex
	now   time.Duration // since epoch
	yield func()        // lets others run between a reading and its use
}

// Now implements memstreamer.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	now := c.now
	c.mu.Unlock()
	c.yield()
	return epoch.Add(now)
}

// step moves the clock by d. It calls at, with the new time, while nobody can
// read the clock.
func (c *Clock) step(d time.Duration, at func(now time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += d
	at(c.now)
}
