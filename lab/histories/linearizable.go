package histories

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// CheckLinearizable checks each consumer of h on its own: that its calls
// of NewReceiver, Recv, Ack and Close, and all Sends to the topic, have an
// order that agrees with when they were called and returned, and in which they
// do what the contract says they do one after another. It returns one
// violation for each consumer that has none, or for which none was found within
// limit.
func CheckLinearizable(h *History, limit time.Duration) []Violation {
	var violations []Violation
	t := newTimeline(h)
	for _, k := range h.keys() {
		calls := t.partition(k)
		result, info := porcupine.CheckOperationsVerbose(cursorModel, calls, limit)
		var reason string
		switch result {
		case porcupine.Ok:
			continue
		case porcupine.Illegal:
			reason = "no order explains its calls: " + stuck(calls, info)
		default:
			reason = fmt.Sprintf("%v were not enough to find an order of its calls", limit)
		}
		violations = append(violations, Violation{NotLinearizable, fmt.Sprintf("%v: %s", k, reason)})
	}
	return violations
}

// stuck says how far the longest order came, and which call it had to have
// next: the one that returned first of those it leaves out.
func stuck(calls []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var longest []porcupine.Operation
	for _, order := range info.PartialLinearizationsOperations()[0] {
		if len(order) > len(longest) {
			longest = order
		}
	}
	var next *Op
	for _, c := range calls {
		op := c.Input.(*call).Op
		ordered := slices.ContainsFunc(longest, func(o porcupine.Operation) bool { return o.Input == c.Input })
		if !ordered && (next == nil || op.Return < next.Return) {
			next = op
		}
	}
	return fmt.Sprintf("of %d the longest has %d, and then not %v", len(calls), len(longest), next)
}

// keys returns the consumers of h.
func (h *History) keys() []key {
	var keys []key
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Kind == Open && !slices.Contains(keys, op.key()) {
			keys = append(keys, op.key())
		}
	}
	return keys
}

// call is what the model has to know of one Op.
type call struct {
	*Op
	handle int // of the receiver, among those of its consumer
	event  int // its place in the topic, for Send, Recv and Ack

	// For Close: the bounds of the time that it read.
	earliest, latest time.Duration

	// For Open: where a cursor that it makes can start, and the clock at the least, and
	// at the most since each earlier Close.
	least, greatest int
	period, now     time.Duration
	peaks           map[*Op]time.Duration
}

// partition returns the calls that concern the cursor of k.
func (t *timeline) partition(k key) []porcupine.Operation {
	handles := map[int]int{}
	var operations []porcupine.Operation
	for i := range t.Ops {
		op := &t.Ops[i]
		if !op.concerns(k) {
			continue
		}
		c := &call{Op: op, event: -1}
		switch op.Kind {
		case Open:
			handles[op.Handle] = len(handles)
			c.least, c.greatest = t.start(op)
			c.period, c.peaks = t.Retention, map[*Op]time.Duration{}
			c.now, _ = t.clockIn(op.Call, op.Return)
			for _, closing := range t.names[k].closes {
				_, c.peaks[closing] = t.clockIn(t.running(closing.Call), op.Return)
			}
		case Close:
			c.earliest, c.latest = t.clockIn(op.Call, op.Return)
		}
		if i, sent := t.places[place{k.part, op.Key}]; sent {
			c.event = i
		} else if op.Kind == Send {
			continue // to another shard
		}
		c.handle = handles[op.Handle]
		operations = append(operations, porcupine.Operation{
			ClientId: max(op.Worker, 0), Input: c, Call: op.Call, Return: op.Return,
		})
	}
	return operations
}

// concerns reports whether the cursor of k decides the outcome of o, or o moves it.
func (o *Op) concerns(k key) bool {
	switch o.Kind {
	case Send:
		return o.Topic == k.topic && o.ok()
	case Recv:
		// One that its context ended says nothing of the cursor.
		return o.key() == k && (o.ok() || !o.Done)
	case Open, Ack, Close:
		return o.key() == k
	case Shut:
		return true
	}
	return false
}

// cursorState is what the contract says that a streamer knows of one consumer.
// Positions count the events of the topic.
type cursorState struct {
	shut   bool
	sent   int // events of the topic
	exists bool
	next   int // the position of the oldest event not acked
	open   handleSet
	own    handleSet // the handles, open or not, whose acks are the cursor's
	idleBy *Op       // the Close that the last of open went with

	// The bounds of the latest time of a Close, since none was open.
	earliest, latest time.Duration
}

// cursorModel follows a cursorState. Which events are too old for a new name, and
// whether a name was forgotten, is not determined where calls overlap with steps
// of the clock.
var cursorModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{cursorState{}} },
	Step: func(state, input, _ any) (next []any) {
		for _, s := range step(state.(cursorState), input.(*call)) {
			next = append(next, s)
		}
		return next
	},
	Hash: func(state any) uint64 {
		s := state.(cursorState)
		return uint64(s.sent)*31 + uint64(s.next)
	},
}).ToModel()

// step returns the states that c may leave behind where it found s; none where
// it may not have had its outcome.
func step(s cursorState, c *call) []cursorState {
	switch c.Kind {
	case Send:
		if s.shut || c.event != s.sent {
			return nil
		}
		s.sent++
	case Open:
		return stepOpen(s, c)
	case Recv:
		if !c.ok() {
			if s.open.has(c.handle) && !s.shut {
				return nil
			}
			break
		}
		if s.shut || !s.open.has(c.handle) || c.event != s.next || s.next >= s.sent {
			return nil
		}
	case Ack:
		if s.own.has(c.handle) {
			s.next = max(s.next, c.event+1)
		}
	case Close:
		if s.open.has(c.handle) {
			s.open = s.open.without(c.handle)
			s.earliest, s.latest = max(s.earliest, c.earliest), max(s.latest, c.latest)
			if s.open == (handleSet{}) {
				s.idleBy = c.Op
			}
		}
	case Shut:
		s.shut = true
	}
	return []cursorState{s}
}

func stepOpen(s cursorState, c *call) (next []cursorState) {
	if s.shut == c.ok() {
		return nil
	}
	if !c.ok() {
		return []cursorState{s}
	}
	remembered := s.exists && (c.period == 0 || c.now-s.latest <= c.period)
	mayBeNew := !s.exists || c.period > 0 && c.peaks[s.idleBy]-s.earliest > c.period
	if s.open != (handleSet{}) {
		remembered, mayBeNew = true, false
	} else {
		s.earliest, s.latest = math.MinInt64/2, math.MinInt64/2
	}
	s.open = s.open.with(c.handle)
	if remembered {
		resumed := s
		resumed.own = s.own.with(c.handle)
		next = append(next, resumed)
	}
	if mayBeNew {
		made := s
		made.exists, made.own = true, handleSet{}.with(c.handle)
		if c.Latest {
			made.next = s.sent
			return append(next, made)
		}
		for made.next = min(c.least, s.sent); made.next <= min(c.greatest, s.sent); made.next++ {
			next = append(next, made)
		}
	}
	return next
}

// handleSet is a set of the handles of one consumer, of which no history has more.
type handleSet [8]uint64

func (s handleSet) has(handle int) bool { return s[handle/64]&(1<<(handle%64)) != 0 }

func (s handleSet) with(handle int) handleSet {
	s[handle/64] |= 1 << (handle % 64)
	return s
}

func (s handleSet) without(handle int) handleSet {
	s[handle/64] &^= 1 << (handle % 64)
	return s
}
