// Package metrics shows what the Stats of a streamer tell: to Prometheus by
// [NewCollector], and to a person with a browser, or a program that reads JSON,
// by [NewHandler].
//
// Neither has a goroutine, and a streamer that nobody asks about pays nothing.
package metrics

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/memstreamer/memstreamer"
)

// Streamer is what is shown. A [memstreamer.StreamConstructor] is one.
type Streamer interface {
	// Stats returns a snapshot that the caller may change. It is called by many
	// goroutines at once.
	Stats() memstreamer.Stats
}

// validUTF8 returns name with each byte of it that is not UTF-8 spelled as \xNN.
// A streamer takes any name; Prometheus refuses a scrape, and JSON cannot hold
// a string, that is not valid UTF-8.
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
