package reference

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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
	case "starts one for each receiver": // a goroutine
		go func() { <-s.Life.Done() }()
	}
	return name, latest
}

// optionsOf returns the options that a fault makes of those that were given.
func (f *Fault) optionsOf(opts []memstreamer.ReceiverOption) []memstreamer.ReceiverOption {
	if !f.does("passes over a nil option") {
		return opts
	}
	return slices.DeleteFunc(slices.Clone(opts), func(opt memstreamer.ReceiverOption) bool { return opt == nil })
}
