package metrics

import (
	"fmt"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Option configures [NewCollector] and [NewHandler].
type Option func(*options)

type options struct {
	streamer        Streamer
	clock           memstreamer.Clock
	withoutReceiver bool
}

// WithClock sets the clock that ages are measured by. The default is the wall
// clock, time.Now. A streamer made with [memstreamer.WithClock] needs the same
// clock here.
func WithClock(c memstreamer.Clock) Option {
	return func(o *options) { o.clock = c }
}

// WithoutReceiverLabel drops the receiver label from a collector's metrics. It
// is for programs whose receiver names are unbounded, such as an engine that
// opens a receiver of a new name for every run it awaits: Prometheus would keep the
// series of each name. [NewHandler] has no labels and ignores it.
//
// The receivers of a topic then share one series. Open and parked receivers are
// summed. Lag, age and deliveries are each the largest among the topic's consumers
// in use: a sum would not tell one stuck step from many that are a little behind. A
// consumer is in use if it has an open receiver, or if it was given an event that it
// has not acked, as a step that has failed and waits to try again. All others fall
// behind until they are forgotten, which is no fault if their names are used once.
//
// memstreamer_acked_events_total is left out: its sum would fall each time a
// consumer is forgotten, and Prometheus would take that for a restart.
func WithoutReceiverLabel() Option {
	return func(o *options) { o.withoutReceiver = true }
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

// snapshot returns the streamer's Stats and the time to measure ages by. It reads
// the clock last, so that no event is from its future.
func (o options) snapshot() (memstreamer.Stats, time.Time) {
	stats := o.streamer.Stats()
	return stats, o.clock.Now()
}

// resolve applies opts over the defaults. It panics, naming caller, if the
// streamer, an option or the clock is nil.
func resolve(caller string, streamer Streamer, opts []Option) options {
	if streamer == nil {
		panic(fmt.Sprintf("metrics: %s: streamer is nil", caller))
	}
	o := options{streamer: streamer, clock: wallClock{}}
	for i, opt := range opts {
		if opt == nil {
			panic(fmt.Sprintf("metrics: %s: option %d of %d is nil", caller, i+1, len(opts)))
		}
		opt(&o)
	}
	if o.clock == nil {
		panic(fmt.Sprintf("metrics: %s: WithClock was given a nil clock", caller))
	}
	return o
}
