// Package metrics shows the Stats of a streamer: to Prometheus by
// [NewCollector], and to a person with a browser, or a program that reads JSON,
// by [NewHandler].
//
// It starts no goroutine. A streamer that nobody asks about pays nothing.
package metrics

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/memstreamer/memstreamer"
)

// Streamer is what a collector and a handler show. A
// [memstreamer.StreamConstructor] is one, and so is a [memstreamer.Connector].
type Streamer interface {
	// Stats returns a snapshot that the caller may change. It must be safe for
	// concurrent use.
	Stats() memstreamer.Stats
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
