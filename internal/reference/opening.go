package reference

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/memstreamer/memstreamer"
)

// topicOf returns the topic that a fault takes for another one.
func (f *Fault) topicOf(topic string) string {
	switch f.Does {
	case "mixes topics":
		return "of all"
	case "makes topics plain":
		return plain(topic)
	case "ignores case":
		return strings.ToLower(topic)
	case "trims spaces from topics":
		return strings.TrimSpace(topic)
	case "ends topics at a NUL":
		topic, _, _ = strings.Cut(topic, "\x00")
	case "takes composed letters for decomposed ones":
		return strings.ReplaceAll(topic, "o\u0308", "ö")
	}
	return topic
}

func plain(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return c
		}
		return '_'
	}, name)
}

// openWrongly returns the name, and whether to start at the latest, that a fault has
// a receiver opened with.
func (s *Streamer) openWrongly(topic, name string, latest bool) (string, bool) {
	switch s.Does {
	case "has one cursor for all names on a topic":
		return "of all", latest
	case "makes names of receivers plain":
		return plain(name), latest
	case "trims spaces from names of receivers":
		return strings.TrimSpace(name), latest
	case "cuts names of receivers at 255 bytes":
		return name[:min(len(name), 255)], latest
	case "takes an empty name":
		return cmp.Or(name, "default"), latest
	case "starts each receiver at the oldest", "gives each receiver its own cursor":
		return fmt.Sprint(name, s.turn()), latest
	case "starts each receiver but the first at the latest":
		_, again := s.notes.LoadOrStore(topic+name, true)
		return fmt.Sprint(name, s.turn()), latest || again
	case "ignores the option":
		return name, false
	case "pins at the first Recv":
		if latest {
			s.notes.Store(name, true)
		}
	case "starts one for each receiver":
		go func() { <-s.Life.Done() }()
	}
	return name, latest
}

// latestOf returns the place past the newest event.
func (s *Streamer) latestOf(t *topic) int {
	if s.does("takes the first event for an older one") {
		return max(1, t.end())
	}
	return t.end()
}

// resumeWrongly moves a cursor that there was before its receiver is opened.
func (s *Streamer) resumeWrongly(c *cursor, latest bool, now time.Time) {
	switch s.Does {
	case "skips to the latest each time it is asked":
		if latest {
			c.next = c.end()
		}
	case "keeps nothing for a closed receiver":
		// What is past the period or, without one, what another name has acked.
		var newest int64
		for _, other := range c.cursors {
			newest = max(newest, other.ackedID)
		}
		for c.open == 0 && c.next < c.end() {
			e := c.events[c.next-c.dropped]
			if !s.old(e.added, now) && (s.retention > 0 || e.ID > newest) {
				break
			}
			s.shown.Add(1)
			c.commit()
		}
	}
}

// trimWrongly returns how many of all events of a topic to drop, where n may go.
func (s *Streamer) trimWrongly(n, all int) int {
	if s.does("trims one event too early") && n > 0 && n < all && s.every(10) {
		return n + 1
	}
	return n
}

// optionsOf returns the options that a fault makes of those that were given.
func (f *Fault) optionsOf(opts []memstreamer.ReceiverOption) []memstreamer.ReceiverOption {
	if !f.does("passes over a nil option") {
		return opts
	}
	return slices.DeleteFunc(slices.Clone(opts), func(opt memstreamer.ReceiverOption) bool { return opt == nil })
}
