package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Option configures [NewCollector] and [NewHandler].
type Option func(*options)

type options struct {
	stats           func(context.Context) (memstreamer.Stats, error)
	clock           memstreamer.Clock
	withoutReceiver bool
}

// WithClock sets the clock that ages are measured by. The default is time.Now. A
// streamer made with [memstreamer.WithClock] needs the same clock here.
func WithClock(c memstreamer.Clock) Option {
	return func(o *options) { o.clock = c }
}

// WithoutReceiverLabel drops the receiver label from a collector's metrics. It is for
// programs with an unbounded number of receiver names, such as an engine that opens a
// receiver of a new name for each run it awaits: Prometheus would keep the series of
// each name. [NewHandler] ignores it.
//
// The receivers of a topic then share one series. Open and parked receivers are
// summed. Lag, age and deliveries are each the largest among the topic's consumers in
// use: a sum would not tell one stuck step from many that are a little behind. A
// consumer is in use if it has an open receiver, or was given an event that it has not
// acked, as a step that failed and waits to try again. All others fall behind until
// they are forgotten, which is harmless if their names are used once.
//
// memstreamer_acked_events_total is left out: its sum would fall each time a consumer
// is forgotten, and Prometheus would take that for a restart.
func WithoutReceiverLabel() Option {
	return func(o *options) { o.withoutReceiver = true }
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

// snapshot returns the streamer's Stats and the time to measure ages by. It reads
// the clock last, so that no event is from its future.
func (o options) snapshot(ctx context.Context) (memstreamer.Stats, time.Time, error) {
	stats, err := o.stats(ctx)
	return stats, o.clock.Now(), err
}

// resolve applies opts over the defaults. It panics, naming caller, if the streamer
// has no Stats, or if it, an option or the clock is nil.
func resolve(caller string, streamer Streamer, opts []Option) options {
	if streamer == nil {
		panic(fmt.Sprintf("metrics: %s: streamer is nil", caller))
	}
	o := options{stats: statsOf(streamer), clock: wallClock{}}
	if o.stats == nil {
		panic(fmt.Sprintf("metrics: %s: a %T has neither Stats() memstreamer.Stats nor Stats(context.Context) (memstreamer.Stats, error)", caller, streamer))
	}
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
