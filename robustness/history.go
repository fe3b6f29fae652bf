// Package robustness checks what a streamer did against what the contract of
// package memstreamer says it may do.
//
// [Run] drives a streamer with many goroutines by the plan of a seed, and
// records each call and its outcome as a [History]. Two checkers that know
// nothing of each other, nor of how the streamer works, judge it:
// [CheckLinearizable] and [CheckCounting].
package robustness

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Kind tells which call an [Op] is.
type Kind int

// The calls of a history.
const (
	Send Kind = iota
	CloseSender
	Open // NewReceiver
	Recv
	Ack
	Close // of a receiver
	Shut  // Close of the streamer
	Step  // of the clock
)

func (k Kind) String() string {
	return [...]string{"Send", "CloseSender", "Open", "Recv", "Ack", "Close", "Shut", "Step"}[k]
}

// Op is one call of a history and its outcome. Call and Return order the calls:
// of two of which neither returned before the other was called, either may have
// taken effect first.
type Op struct {
	Kind         Kind
	Call, Return int64
	Err          error

	Topic string // for Send the topic of the event, by its header or its sender
	Name  string // of Open, Recv, Ack and Close

	// Handle numbers the sender or the receiver that the call is of. For an Ack
	// it is the receiver that the event came from.
	Handle int

	Latest bool   // of Open
	Key    string // the event's ForeignID, its own for each Send
	By     string // of Send: the topic of its sender
	Type   int    // of Send
	Header string // of Send: the value of one header

	// Of Recv: what it returned, whether its context was done when it was called
	// and when it returned, and whether it was cancelled only after everything
	// else had been at rest for long.
	Event             memstreamer.Event
	DoneBefore, Done  bool
	Waited            bool
	Worker            int
	CalledAt, EndedAt time.Duration // by the wall clock, since the history began
	Now               time.Duration // of Step: the streamer's clock from then on
}

func (o *Op) ok() bool { return o.Err == nil }

// before tells whether o had returned when other was called.
func (o *Op) before(other *Op) bool { return o.Return < other.Call }

func (o *Op) String() string {
	s := fmt.Sprintf("[%d,%d] worker %d: %s", o.Call, o.Return, o.Worker, o.Kind)
	switch o.Kind {
	case Step:
		return fmt.Sprintf("%s to %v", s, o.Now)
	case Shut:
	case Send, CloseSender:
		s = fmt.Sprintf("%s %s by sender %d of event %q", s, o.Topic, o.Handle, o.Key)
	default:
		s = fmt.Sprintf("%s %s/%s by receiver %d", s, o.Topic, o.Name, o.Handle)
		if o.Latest {
			s += " from latest"
		}
		if o.Key != "" {
			s += fmt.Sprintf(" of event %q", o.Key)
		}
	}
	if o.Event.ID != 0 {
		s += fmt.Sprintf(" (ID %d)", o.Event.ID)
	}
	if o.Err != nil {
		s += fmt.Sprintf(": %v", o.Err)
	}
	return s
}

// History is what happened to one streamer, from its start on: every call on it
// is here, and all have returned.
type History struct {
	Retention time.Duration
	Ops       []Op // by Call

	// Audited is until when each event that was sent had to reach the receivers
	// of the name Auditor. After that, at most one was sent to each topic.
	Audited int64
}

// Auditor is the name that receives every event of a history, which tells the
// checkers their IDs.
const Auditor = "auditor"

// key is what a cursor belongs to.
type key struct{ topic, name string }

func (o *Op) key() key { return key{o.Topic, o.Name} }

// clockIn returns the least and the greatest time that the streamer's clock
// told between from and to.
func (h *History) clockIn(from, to int64) (least, greatest time.Duration) {
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Kind != Step {
			continue
		}
		if op.Call > to {
			break
		}
		if op.Call <= from {
			least, greatest = op.Now, op.Now
		} else {
			least, greatest = min(least, op.Now), max(greatest, op.Now)
		}
	}
	return least, greatest
}

// clockPeak returns the greatest time that a call running between from and to
// can have read: one that was called earlier may have read the clock then.
func (h *History) clockPeak(from, to int64) time.Duration {
	earliest := from
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Call < earliest && op.Return >= from {
			earliest = op.Call
		}
	}
	_, greatest := h.clockIn(earliest, to)
	return greatest
}

// event is one event of a topic, as the history tells of it.
type event struct {
	send    *Op
	id      int64         // 0 when nobody received it
	created time.Duration // the earliest it can be
}

// droppable tells whether retention allows e to be gone at the time until, if
// nobody holds it.
func (h *History) droppable(e event, until int64) bool {
	return h.Retention > 0 && h.clockPeak(e.send.Call, until)-e.created > h.Retention
}

// events returns the events of each topic in the order of their IDs. One that
// nobody received is where it can have been by the time of its Send.
func (h *History) events() map[string][]event {
	received := map[string]*memstreamer.Event{}
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Kind == Recv && op.ok() {
			received[op.Key] = &op.Event
		}
	}
	topics := map[string][]event{}
	var unknown []event
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Kind != Send || !op.ok() {
			continue
		}
		if e := received[op.Key]; e != nil {
			topics[op.Topic] = append(topics[op.Topic], event{op, e.ID, e.CreatedAt.Sub(epoch)})
			continue
		}
		least, _ := h.clockIn(op.Call, op.Return)
		unknown = append(unknown, event{op, 0, least})
	}
	for _, events := range topics {
		sortByID(events)
	}
	for _, e := range unknown {
		topic := e.send.Topic
		topics[topic] = insertByTime(topics[topic], e)
	}
	return topics
}

func sortByID(events []event) {
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.id, b.id) })
}

// insertByTime puts e before the first of events that was sent after it.
func insertByTime(events []event, e event) []event {
	i := slices.IndexFunc(events, func(other event) bool { return e.send.before(other.send) })
	if i < 0 {
		i = len(events)
	}
	return slices.Insert(events, i, e)
}
