package histories

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/memstreamer/memstreamer"
)

// coverage counts what histories have shown, lest a check pass because nothing
// happened.
type coverage map[string]int

var wanted = []string{
	"events", "overlapping calls", "sent by another topic's sender", "sent on a closed sender",
	"redeliveries", "cancelled while parked", "closed while parked",
	"late acks", "repeated acks", "acks after Close", "acks of a forgotten cursor",
	"resumed cursors", "forgotten cursors", "shared cursors", "from latest",
	"events kept past the period for a closed receiver", "new names past events kept for others",
	"clock steps back", "closed in a rush",
	"from the last", "from the last past older events",
	"ephemeral receivers", "ephemeral receivers of one name", "ephemeral receivers beside a consumer of their name",
	"received in a shard", "received in a shard of an ephemeral receiver",
	"acks after an ephemeral receiver's Close", "events kept past the period for an ephemeral receiver",
}

func (c coverage) String() string {
	var parts []string
	for _, what := range wanted {
		parts = append(parts, fmt.Sprint(what, " ", c[what]))
	}
	return strings.Join(parts, ", ")
}

func (c coverage) require(t *testing.T) {
	t.Helper()
	for _, what := range wanted {
		assert.Positive(t, c[what], what)
	}
}

func (c coverage) add(h *History) {
	counts := newTimeline(h)
	now := time.Duration(0)
	received := map[key]map[string]bool{}
	opens := map[int]*Op{} // by handle
	for i := range h.Ops {
		op := &h.Ops[i]
		if i > 0 && h.Ops[i-1].Return > op.Return {
			c["overlapping calls"]++
		}
		n, closed := counts.names[op.key()], counts.closes[op.Handle]
		afterClose := closed != nil && closed.before(op)
		switch op.Kind {
		case Send:
			if op.ok() {
				c["events"]++
			} else if afterClose {
				c["sent on a closed sender"]++
			}
			if op.Topic != op.By {
				c["sent by another topic's sender"]++
			}
		case Recv:
			switch {
			case op.ok():
				if received[op.key()] == nil {
					received[op.key()] = map[string]bool{}
				}
				if received[op.key()][op.Key] {
					c["redeliveries"]++
				}
				received[op.key()][op.Key] = true
				if op.Shard > 0 && op.Ephemeral {
					c["received in a shard of an ephemeral receiver"]++
				} else if op.Shard > 0 {
					c["received in a shard"]++
				}
				c.addOld(counts, opens, op)
			case op.Done && !op.DoneBefore:
				c["cancelled while parked"]++
			case errors.Is(op.Err, memstreamer.ErrClosed) && closed != nil && !closed.before(op):
				c["closed while parked"]++
			}
		case Ack:
			if afterClose {
				c["acks after Close"]++
				if op.Ephemeral {
					c["acks after an ephemeral receiver's Close"]++
				}
			}
			if slices.ContainsFunc(n.acks, func(ack *Op) bool {
				return ack.before(op) && counts.places[place{op.key().part, ack.Key}] > counts.places[place{op.key().part, op.Key}]
			}) {
				c["late acks"]++
			} else if slices.ContainsFunc(n.acks, func(ack *Op) bool { return ack.before(op) && ack.Key == op.Key }) {
				c["repeated acks"]++
			}
			if slices.ContainsFunc(n.opens, func(open *Op) bool {
				return closed != nil && closed.before(open) && open.before(op) && counts.makes(open)
			}) {
				c["acks of a forgotten cursor"]++
			}
		case Open:
			if op.Latest {
				c["from latest"]++
			}
			if op.ok() {
				opens[op.Handle] = op
				c[counts.found(op)]++
				c.addOptions(counts, opens, op)
			}
		case Step:
			if op.Now < now {
				c["clock steps back"]++
			}
			now = op.Now
		}
	}
	if slices.ContainsFunc(h.Ops, func(op Op) bool {
		return op.Kind == Recv && op.Call < counts.shut.Call && op.Return > counts.shut.Call
	}) {
		c["closed in a rush"]++
	}
}

// found returns which kind of cursor open has certainly found, if any.
func (t *timeline) found(open *Op) string {
	n := t.names[open.key()]
	switch {
	case n.opens[0] == open:
		return "new cursors"
	case slices.ContainsFunc(n.opens, func(other *Op) bool {
		closed := t.closes[other.Handle]
		return other.before(open) && (closed == nil || open.before(closed))
	}):
		return "shared cursors"
	case t.makes(open):
		return "forgotten cursors"
	case !t.mayMake(open):
		return "resumed cursors"
	}
	return ""
}

// addOptions counts what an open with options shows, beside the opens before it.
func (c coverage) addOptions(counts *timeline, opens map[int]*Op, open *Op) {
	if open.Last > 0 && !open.Latest && counts.makes(open) {
		c["from the last"]++
		if least, _ := counts.start(open); least > 0 {
			c["from the last past older events"]++
		}
	}
	if !open.Ephemeral {
		return
	}
	c["ephemeral receivers"]++
	for _, other := range opens {
		closed := counts.closes[other.Handle]
		switch {
		case other == open || other.Topic != open.Topic || other.Name != open.Name || closed != nil && closed.Call < open.Return:
		case other.Ephemeral:
			c["ephemeral receivers of one name"]++
		default:
			c["ephemeral receivers beside a consumer of their name"]++
		}
	}
}

// addOld counts what recv, of an event that is older than the period, shows.
func (c coverage) addOld(counts *timeline, opens map[int]*Op, recv *Op) {
	tooOld := func(open *Op) bool {
		least, _ := counts.start(open)
		return !open.Latest && open.Last == 0 && counts.places[place{open.key().part, recv.Key}] < least
	}
	now, _ := counts.clockIn(recv.Call, recv.Return)
	if recv.Ephemeral && counts.Retention > 0 && now-counts.events[recv.key().part][counts.places[place{recv.key().part, recv.Key}]].added > counts.Retention {
		c["events kept past the period for an ephemeral receiver"]++
	}
	if open := opens[recv.Handle]; tooOld(open) && counts.found(open) == "resumed cursors" {
		c["events kept past the period for a closed receiver"]++
	}
	for _, open := range opens {
		if open.Topic == recv.Topic && open.before(recv) && tooOld(open) && counts.makes(open) {
			c["new names past events kept for others"]++
		}
	}
}
