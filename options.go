package memstreamer

import (
	"fmt"
	"time"
)

// Option configures [New] and [NewConnector].
type Option func(*options)

type options struct {
	clock     Clock
	retention time.Duration
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

// WithRetention bounds the memory of a streamer that runs for long. Without it,
// and for d ≤ 0, every event and every cursor is kept.
//
// An event may be dropped once it is older than d by the streamer's clock, and
// no open receiver of its topic has it un-acked: what an open receiver has not
// acked is kept, however old. A cursor whose receivers have all been closed for
// longer than d is forgotten; the next receiver of that name starts as a new
// one does, and an Ack that came from before changes nothing. A topic with no
// event, no cursor and no open sender or receiver is forgotten. IDs go on.
//
// A closed receiver keeps nothing: what is older than d by then may be gone when
// the next one of its name is opened. Let d be longer than a receiver may lag and
// be away. Time is the clock's: one that is ahead and set back keeps what was
// sent meanwhile until it is there again. The default clock is never set back.
//
// The dropping is done by Send, NewReceiver, Ack and Close, a bounded amount in
// each, whichever topic they are for: no goroutine and no timer does it, and a
// streamer that is not used keeps what it has.
func WithRetention(d time.Duration) Option {
	return func(o *options) { o.retention = max(d, 0) }
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
