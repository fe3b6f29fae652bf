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

// Clock tells the time. The Clock of k8s.io/utils/clock and its fake satisfy it.
// Many goroutines call it at once, none of them with a lock held.
type Clock interface {
	Now() time.Time
}

// WithClock has events stamped with c's time. The default is the wall clock,
// time.Now. For retention, its times must stay within 146 years of its first.
func WithClock(c Clock) Option {
	return func(o *options) { o.clock = c }
}

// WithRetention bounds the memory of a streamer that runs for months. New panics if d is
// negative. Without it,
// and for 0, every event is kept, and every name that is not forgotten by
// [StreamConstructor.Forget].
//
//   - A name is remembered while a receiver of it is open, and for d after the last
//     one was closed.
//   - An event is kept until it is older than d and every remembered name of its
//     topic has acked it.
//   - A new name starts at the oldest event that is not older than d, even if older
//     ones are still kept for others.
//
// So a step that fails, closes its receiver and opens it again within d finds its
// event, however old.
//
// Warning: a name that stays away for longer than d loses its place, and events that
// only it had not acked are lost. And a name that is open and never acks keeps every
// later event of its topic: watch [ReceiverStats]. For luno/workflow that is the
// consumer of paused records, which holds each event of …-run-state-change for an
// hour.
//
// No goroutine and no timer drops anything. NewSender, NewReceiver, Send, Ack, Close
// and Forget, and a connector's Make and Append, each drop a bounded amount, of any
// topic; [StreamConstructor.Stats] drops all that has expired; Recv drops nothing. A
// streamer that is not used keeps what it has. Age is by the streamer's clock, and
// never goes back within a topic: if the clock is set back, events and closed names
// expire only once it has caught up. The default clock is monotonic.
func WithRetention(d time.Duration) Option {
	return func(o *options) { o.retention = d }
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

// resolve applies opts to the defaults. Its callers return no error: for a nil
// option or a bad value it panics, with a message that names the caller.
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
	if o.retention < 0 {
		panic(fmt.Sprintf("memstreamer: %s: WithRetention(%v): the period must not be negative; 0 keeps everything", caller, o.retention))
	}
	return o
}

// ReceiverOptions is what receiver options set: see [ResolveReceiverOptions].
type ReceiverOptions struct {
	// PollFrequency is accepted and ignored: see [WithReceiverPollFrequency].
	PollFrequency time.Duration
	// StreamFromLatest is set by [StreamFromLatest].
	StreamFromLatest bool
}

// ReceiverOption configures one receiver, in NewReceiver.
type ReceiverOption func(*ReceiverOptions)

// StreamFromLatest starts a new cursor past the newest event: the receiver gets
// what is sent after NewReceiver has returned, and nothing older. If (topic, name)
// has a cursor already, it resumes there and skips nothing.
func StreamFromLatest() ReceiverOption {
	return func(o *ReceiverOptions) { o.StreamFromLatest = true }
}

// WithReceiverPollFrequency does nothing. It is there so that call sites written
// for an adapter that polls compile: a receiver here parks.
func WithReceiverPollFrequency(d time.Duration) ReceiverOption {
	return func(o *ReceiverOptions) { o.PollFrequency = d }
}

// ResolveReceiverOptions returns what opts set together. It fails for an option
// that is nil, with an error that says which. It is for implementations of
// [EventStreamer].
func ResolveReceiverOptions(opts ...ReceiverOption) (ReceiverOptions, error) {
	var o ReceiverOptions
	for i, opt := range opts {
		if opt == nil {
			return ReceiverOptions{}, fmt.Errorf("option %d of %d is nil", i+1, len(opts))
		}
		opt(&o)
	}
	return o, nil
}
