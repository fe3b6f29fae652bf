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

// openWrongly returns the name and the options that a fault has a receiver opened
// with.
func (s *Streamer) openWrongly(topic, name string, o memstreamer.ReceiverOptions) (string, memstreamer.ReceiverOptions) {
	switch s.Does {
	case "has one cursor for all names on a topic":
		name = "of all"
	case "makes names of receivers plain":
		name = plain(name)
	case "trims spaces from names of receivers":
		name = strings.TrimSpace(name)
	case "cuts names of receivers at 255 bytes":
		name = name[:min(len(name), 255)]
	case "takes an empty name":
		name = cmp.Or(name, "default")
	case "starts each receiver at the oldest", "gives each receiver its own cursor":
		name = fmt.Sprint(name, s.turn())
	case "starts each receiver but the first at the latest":
		_, again := s.notes.LoadOrStore(topic+name, true)
		name, o.StreamFromLatest = fmt.Sprint(name, s.turn()), o.StreamFromLatest || again
	case "ignores StreamFromLatest":
		o.StreamFromLatest = false
	case "ignores StreamFromLast":
		o.StreamFromLast = 0
	case "takes StreamFromLast for StreamFromLatest":
		o.StreamFromLatest = o.StreamFromLatest || o.StreamFromLast > 0
	case "goes half as far back as StreamFromLast says":
		o.StreamFromLast /= 2
	case "counts StreamFromLast from the first Recv":
		s.notes.Store(lastOf(name), o.StreamFromLast)
		o.StreamFromLast = 0
	case "has StreamFromLast win":
		o.StreamFromLatest = o.StreamFromLatest && o.StreamFromLast == 0
	case "ignores Ephemeral":
		o.Ephemeral = false
	case "ignores Shard":
		o.ShardIndex, o.ShardCount = 0, 0
	case "ignores the Shard of an ephemeral receiver":
		if o.Ephemeral {
			o.ShardIndex, o.ShardCount = 0, 0
		}
	case "counts shards from 1":
		o.ShardIndex = (o.ShardIndex + 1) % max(1, o.ShardCount)
	case "starts a shard at the latest":
		o.StreamFromLatest = o.StreamFromLatest || o.ShardCount > 0
	case "ignores StreamFromLatest for a shard":
		o.StreamFromLatest = o.StreamFromLatest && o.ShardCount == 0
	case "has a position for each receiver of a shard":
		if o.ShardCount > 0 {
			name = fmt.Sprint(name, s.turn())
		}
	case "takes a minute to open a receiver":
		time.Sleep(time.Minute)
	case "starts one for each receiver": // a goroutine
		go func() { <-s.Life.Done() }()
	case "starts one for each ephemeral receiver": // a goroutine
		if o.Ephemeral {
			go func() { <-s.Life.Done() }()
		}
	}
	return name, o
}

// lastOf is a name whose StreamFromLast a fault remembers.
type lastOf string

// reachesBack reports whether a fault has an event of that age be one of the last d.
func (f *Fault) reachesBack(age, d time.Duration) bool {
	return age <= 2*d && f.shows("goes twice as far back as StreamFromLast says")
}

// sharesWrongly reports whether a fault gives c, of an ephemeral receiver, to another.
func (f *Fault) sharesWrongly(c *cursor) bool {
	if c.open == 0 {
		return f.does("leaves the cursor of an ephemeral receiver to the next")
	}
	return f.shows("has ephemeral receivers of a name share a cursor")
}

// skipsWrongly reports whether a fault moves a cursor to where a new one would start.
func (f *Fault) skipsWrongly(o memstreamer.ReceiverOptions) bool {
	return o.StreamFromLatest && f.does("skips to the latest each time it is asked") ||
		o.StreamFromLast > 0 && f.does("skips to the last each time it is asked")
}

// optionsOf returns the options that a fault makes of those that were given.
func (f *Fault) optionsOf(opts []memstreamer.ReceiverOption) []memstreamer.ReceiverOption {
	return slices.DeleteFunc(slices.Clone(opts), func(opt memstreamer.ReceiverOption) bool {
		if opt == nil {
			return f.does("passes over a nil option")
		}
		var o memstreamer.ReceiverOptions
		opt(&o)
		_, err := memstreamer.ResolveReceiverOptions(opt)
		return o.StreamFromLast < 0 && f.does("takes a negative StreamFromLast") ||
			o.StreamFromLast == 0 && o.ShardCount == 0 && o.ShardIndex == 0 && err != nil && f.does("takes a StreamFromLast of 0") ||
			o.ShardCount < 1 && err != nil && f.does("takes a Shard of none") ||
			o.ShardCount > 0 && err != nil && f.does("takes a Shard past the last")
	})
}
