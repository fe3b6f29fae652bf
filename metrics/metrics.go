// Package metrics shows the Stats of a streamer: [NewCollector] to Prometheus, and
// [NewHandler] to a person with a browser or a program that reads JSON.
//
// It starts no goroutine and reads Stats only when it is asked.
package metrics

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/memstreamer/memstreamer"
)

// Streamer is what a collector and a handler show: a value with one of these methods,
// safe for concurrent use, whose result the caller may change:
//
//	Stats() memstreamer.Stats
//	Stats(context.Context) (memstreamer.Stats, error)
//
// The streamers of memstreamer, sqlite and jetstream are such values, and so is a
// [memstreamer.Connector].
type Streamer any

// statsTimeout limits a call of Stats that takes a context.
const statsTimeout = 5 * time.Second

// statsOf returns the Stats of streamer with that limit, or nil if it has none.
func statsOf(streamer Streamer) func(context.Context) (memstreamer.Stats, error) {
	switch s := streamer.(type) {
	case interface{ Stats() memstreamer.Stats }:
		return func(context.Context) (memstreamer.Stats, error) { return s.Stats(), nil }
	case interface {
		Stats(ctx context.Context) (memstreamer.Stats, error)
	}:
		return func(ctx context.Context) (memstreamer.Stats, error) {
			ctx, cancel := context.WithTimeout(ctx, statsTimeout)
			defer cancel()
			return s.Stats(ctx)
		}
	}
	return nil
}

// inUse reports whether r has an open receiver, or was given an event that it has
// not acked, as a step that failed and waits to try again.
func inUse(r memstreamer.ReceiverStats) bool { return r.Open > 0 || r.Deliveries > 0 }

// ageOf returns the age of the oldest event that r has not acked. It is 0 if nothing
// waits, if the event has no CreatedAt, and if that is in the future.
func ageOf(r memstreamer.ReceiverStats, now time.Time) time.Duration {
	if r.OldestUnacked.IsZero() {
		return 0
	}
	return max(now.Sub(r.OldestUnacked), 0)
}

// validUTF8 returns name with each byte that is not UTF-8 spelled as \xNN. A
// streamer takes any name, but Prometheus refuses a scrape that is not valid
// UTF-8, and JSON cannot hold such a string.
func validUTF8(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, `\x%02x`, name[0])
		} else {
			b.WriteString(name[:size])
		}
		name = name[size:]
	}
	return b.String()
}
