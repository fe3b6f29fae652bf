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
// time.Now. For retention and [StreamFromLast], its times must stay within 146 years of
// its first.
func WithClock(c Clock) Option {
	return func(o *options) { o.clock = c }
}

// WithRetention bounds the memory of a streamer that runs for months. Without it,
// and for 0, every event is kept, and every consumer that is not forgotten by
// [StreamConstructor.Forget]. New and NewConnector panic if d is negative.
//
//   - A consumer is remembered while a receiver of it is open, and for d after the
//     last one was closed.
//   - An event is kept until it is older than d and every remembered consumer of its
//     topic has acknowledged it, or has it not in its [Shard].
//   - A new consumer starts at the oldest event that is not older than d, even if
//     older ones are still kept for others.
//
// So a step that fails, closes its receiver and opens it again within d finds its
// event, however old.
//
// Warning: a consumer with no open receiver for longer than d loses its position, and
// any events that only it had not acknowledged. And a consumer whose receiver is open
// and never acks keeps every later event of its topic: watch [ReceiverStats]. For
// luno/workflow that is the consumer of paused records, which holds each event of
// …-run-state-change for an hour.
//
// There is no cleanup goroutine and no timer. NewSender, NewReceiver, Send, Ack, Close
// and Forget, and a connector's Make and Append, each drop a bounded amount, of any
// topic; [StreamConstructor.Stats] drops all that has expired; Recv drops nothing. A
// streamer that is not used keeps what it has. Age is by the streamer's clock, and
// never goes back within a topic: if the clock is set back, events and closed
// consumers expire only once it has caught up. The default clock is monotonic.
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
	// StreamFromLast is set by [StreamFromLast]; 0 if that was not given.
	StreamFromLast time.Duration
	// Ephemeral is set by [Ephemeral].
	Ephemeral bool
	// ShardIndex and ShardCount are set by [Shard]; both are 0 if that was not given, or
	// its count is 1.
	ShardIndex, ShardCount int

	err error // of an option that was given an invalid value
}

// ReceiverOption configures one receiver, in NewReceiver.
type ReceiverOption func(*ReceiverOptions)

// StreamFromLatest starts a new cursor past the newest event: the receiver gets
// what is sent after NewReceiver has returned, and nothing older. If the consumer
// has a cursor already, it resumes there and skips nothing.
func StreamFromLatest() ReceiverOption {
	return func(o *ReceiverOptions) { o.StreamFromLatest = true }
}

// StreamFromLast starts a new cursor at the oldest event kept that is not older than d,
// by the streamer's own clock. Age never goes back within a topic: after the clock was
// set back, an event counts as no older than the one before it. If the consumer has a
// cursor already, it resumes there and skips nothing. [StreamFromLatest] takes
// precedence. NewReceiver refuses a d that is not positive.
func StreamFromLast(d time.Duration) ReceiverOption {
	return func(o *ReceiverOptions) {
		o.StreamFromLast = d
		if d <= 0 {
			o.err = fmt.Errorf("StreamFromLast(%v): the duration must be positive", d)
		}
	}
}

// Ephemeral gives the receiver a cursor of its own, which it shares with no other
// receiver, not even one of the same name. It starts as any new cursor does, holds
// events as any cursor does, and is in Stats under the receiver's name. It is never
// stored. It is forgotten when the receiver is closed, by the receiver's own Close, or
// when the process ends. An Ack after that Close changes nothing.
func Ephemeral() ReceiverOption {
	return func(o *ReceiverOptions) { o.Ephemeral = true }
}

// Shard has a new consumer get the events of its topic whose ID, divided by count, leaves
// the remainder index, so that count consumers share the topic. It passes over the others
// as if it had acked them: they do not wake it, and it does not hold them. A count of 1 is
// all events, as without this option.
//
// The first consumer of a shard looks at all events kept of its topic, and other calls go
// on meanwhile. From then on, an event of the shard takes 8 bytes more.
//
// A consumer keeps the shard that it was made with: NewReceiver fails with [ErrShard] for
// another one, or none. NewReceiver refuses a count below 1, and an index that is not from
// 0 to count-1.
func Shard(index, count int) ReceiverOption {
	return func(o *ReceiverOptions) {
		o.ShardIndex, o.ShardCount = index, count
		if count < 1 {
			o.err = shardError(index, count)
		}
	}
}

// WithReceiverPollFrequency does nothing. It is there so that call sites written
// for an adapter that polls compile: a receiver here parks.
func WithReceiverPollFrequency(d time.Duration) ReceiverOption {
	return func(o *ReceiverOptions) { o.PollFrequency = d }
}

// ResolveReceiverOptions returns what opts set together. It fails for an option
// that is nil or was given an invalid value, with an error that says which. It is
// for implementations of [EventStreamer].
func ResolveReceiverOptions(opts ...ReceiverOption) (ReceiverOptions, error) {
	var o ReceiverOptions
	for i, opt := range opts {
		if opt == nil {
			return ReceiverOptions{}, fmt.Errorf("option %d of %d is nil", i+1, len(opts))
		}
		opt(&o)
		switch {
		case o.err != nil:
		case o.StreamFromLast < 0: // by an option of the caller's own
			o.err = fmt.Errorf("StreamFromLast is %v: it must not be negative", o.StreamFromLast)
		case o.ShardCount < 0 || o.ShardIndex < 0 || o.ShardIndex >= max(1, o.ShardCount):
			o.err = shardError(o.ShardIndex, o.ShardCount)
		case o.ShardCount == 1:
			o.ShardCount = 0
		}
		if o.err != nil {
			return ReceiverOptions{}, fmt.Errorf("option %d of %d: %w", i+1, len(opts), o.err)
		}
	}
	return o, nil
}

func shardError(index, count int) error {
	return fmt.Errorf("Shard(%d, %d): the count must be at least 1, and the index from 0 to count-1", index, count)
}

// shardText returns how a program asks for a shard.
func shardText(index, count int) string {
	if count == 0 {
		return "no Shard"
	}
	return fmt.Sprintf("Shard(%d, %d)", index, count)
}
