package memstreamer

import (
	"fmt"
	"time"
)

// Option configures [New] and [NewConnector].
type Option func(*options)

type options struct {
	clock Clock
}

// Clock tells the time. The Clock of k8s.io/utils/clock and its fake satisfy
// it as they are. It is never called with a lock held, but by many goroutines
// at once.
type Clock interface {
	Now() time.Time
}

// WithClock has events stamped with c's time. The default is the wall clock,
// time.Now.
func WithClock(c Clock) Option {
	return func(o *options) { o.clock = c }
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

// resolve applies opts over the defaults. It panics with a message that names
// caller for a nil option or clock, since New and NewConnector return no error.
func resolve(caller string, opts []Option) options {
	o := options{clock: wallClock{}}
	for i, opt := range opts {
		if opt == nil {
			panic(fmt.Sprintf("memstreamer: %s: option %d of %d is nil", caller, i+1, len(opts)))
		}
		opt(&o)
	}
	if o.clock == nil {
		panic(fmt.Sprintf("memstreamer: %s: WithClock was given a nil clock", caller))
	}
	return o
}

// ReceiverOptions is what the options of NewReceiver set.
type ReceiverOptions struct {
	// PollFrequency is accepted and ignored: see [WithReceiverPollFrequency].
	PollFrequency time.Duration
	// StreamFromLatest is set by [StreamFromLatest].
	StreamFromLatest bool
}

// ReceiverOption configures one receiver, in NewReceiver.
type ReceiverOption func(*ReceiverOptions)

// StreamFromLatest starts a new cursor past the newest event, so that the
// receiver gets what is sent after NewReceiver has returned and nothing older.
// A (topic, name) that has a cursor already resumes there as without it, and
// skips nothing.
func StreamFromLatest() ReceiverOption {
	return func(o *ReceiverOptions) { o.StreamFromLatest = true }
}

// WithReceiverPollFrequency does nothing. It is accepted so that call sites
// written for an adapter that polls compile: a receiver here is parked until
// there is something to do.
func WithReceiverPollFrequency(d time.Duration) ReceiverOption {
	return func(o *ReceiverOptions) { o.PollFrequency = d }
}
