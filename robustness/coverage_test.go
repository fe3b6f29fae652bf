package robustness

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
	"events dropped unseen", "clock steps back", "closed in a rush",
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
	counts := newCounting(h)
	now := time.Duration(0)
	received := map[key]map[string]bool{}
	for i := range h.Ops {
		op := &h.Ops[i]
		if i > 0 && h.Ops[i-1].Return > op.Return {
			c["overlapping calls"]++
		}
		closed := counts.closes[op.Handle]
		switch op.Kind {
		case Send:
			if op.ok() {
				c["events"]++
			} else if closed != nil && closed.before(op) {
				c["sent on a closed sender"]++
			}
			if op.Topic != op.By {
				c["sent by another topic's sender"]++
			}
		case Recv:
			switch {
			case op.ok():
				seen := received[op.key()]
				if seen == nil {
					seen = map[string]bool{}
					received[op.key()] = seen
				}
				if seen[op.Key] {
					c["redeliveries"]++
				}
				seen[op.Key] = true
				c["events dropped unseen"] += counts.unseen(op, seen)
			case op.Done && !op.DoneBefore:
				c["cancelled while parked"]++
			case errors.Is(op.Err, memstreamer.ErrClosed) && closed != nil && !closed.before(op):
				c["closed while parked"]++
			}
		case Ack:
			n := counts.names[op.key()]
			if closed != nil && closed.before(op) {
				c["acks after Close"]++
			}
			if slices.ContainsFunc(n.acks, func(ack *Op) bool {
				return ack.before(op) && counts.places[ack.Key] > counts.places[op.Key]
			}) {
				c["late acks"]++
			} else if slices.ContainsFunc(n.acks, func(ack *Op) bool { return ack.before(op) && ack.Key == op.Key }) {
				c["repeated acks"]++
			}
			if slices.ContainsFunc(n.opens, func(open *Op) bool {
				return closed != nil && closed.before(open) && open.before(op) && counts.forgotten(n, open)
			}) {
				c["acks of a forgotten cursor"]++
			}
		case Open:
			n := counts.names[op.key()]
			if op.Latest {
				c["from latest"]++
			}
			switch {
			case !op.ok() || n.opens[0] == op:
			case slices.ContainsFunc(n.opens, func(other *Op) bool {
				closed := counts.closes[other.Handle]
				return other.before(op) && (closed == nil || op.before(closed))
			}):
				c["shared cursors"]++
			case counts.forgotten(n, op):
				c["forgotten cursors"]++
			case !counts.mayBeForgotten(n, op):
				c["resumed cursors"]++
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

// forgotten tells whether open cannot have found the cursor that there was.
func (c *counting) forgotten(n *name, open *Op) bool {
	was := false
	for _, other := range n.opens {
		if !other.before(open) {
			continue
		}
		closed := c.closes[other.Handle]
		if closed == nil || !closed.before(open) {
			return false
		}
		if _, must := c.forgettable(closed, open); !must {
			return false
		}
		was = true
	}
	return was
}

// unseen returns how many events just before that of recv its name never got,
// though they were sent while it had a cursor.
func (c *counting) unseen(recv *Op, seen map[string]bool) (n int) {
	first := c.names[recv.key()].opens[0]
	for _, e := range slices.Backward(c.events[recv.Topic][:c.places[recv.Key]]) {
		if seen[e.send.Key] || !first.before(e.send) {
			break
		}
		n++
	}
	return n
}
