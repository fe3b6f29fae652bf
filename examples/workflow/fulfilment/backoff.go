package fulfilment

import (
	"context"
	"time"
)

const (
	minPause = 100 * time.Microsecond
	maxPause = time.Second
)

// backoff paces what is tried again: each failure in a row doubles the pause
// before the next try, up to maxPause.
type backoff struct {
	pause time.Duration
}

// wait pauses after a failure, until ctx is done at the longest.
func (b *backoff) wait(ctx context.Context) {
	b.pause = min(max(2*b.pause, minPause), maxPause)
	timer := time.NewTimer(b.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// reset is called after a success.
func (b *backoff) reset() {
	b.pause = 0
}
