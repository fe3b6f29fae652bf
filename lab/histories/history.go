// Package histories checks what a streamer did against what the contract of
// package memstreamer says it may do.
//
// [Run] drives a streamer with many goroutines by the plan of a seed, and
// records each call and its outcome as a [History]. Two checkers that know
// nothing of each other, nor of how the streamer works, judge it:
// [CheckLinearizable] and [CheckCounting].
//
// It imports memstreamer and internal/judge. The tests of drivers import it.
package histories

import (
	"fmt"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Kind is which call an [Op] is.
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

	Ephemeral bool          // of all calls of an ephemeral receiver
	Shard     int           // of all calls of a receiver with a shard, from 1 to shards, or 0
	Latest    bool          // of Open
	Last      time.Duration // of Open, what StreamFromLast was given, or 0

	Key    string // the event's ForeignID, its own for each Send
	By     string // of Send: the topic of its sender
	Type   int    // of Send
	Header string // of Send: the value of one header

	// Of Recv: what it returned, and in which shard that is, whether its context was done when it was called
	// and when it returned, and whether it was cancelled only after everything
	// else had been at rest for long.
	Event            memstreamer.Event
	In               int
	DoneBefore, Done bool
	Waited           bool

	Now time.Duration // of Step: the streamer's clock from then on

	// For people who read the history: who called, and when by the time package.
	Worker            int
	CalledAt, EndedAt time.Duration
}

func (o *Op) ok() bool { return o.Err == nil }

// before reports whether o had returned when other was called.
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
		if o.Ephemeral {
			s += ", ephemeral"
		}
		if o.Shard > 0 {
			s += fmt.Sprintf(", shard %d", o.Shard)
		}
		if o.Latest {
			s += " from latest"
		}
		if o.Last > 0 {
			s += fmt.Sprintf(" from the last %v", o.Last)
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

// shards is how many share the events of a topic.
const shards = 2

// part is the events of a topic, or of one of its shards.
type part struct {
	topic string
	shard int // 0 for all
}

// key names a consumer, which reads a part of a topic.
type key struct {
	part
	name      string
	ephemeral int // the handle of an ephemeral receiver, which is a consumer by itself
}

func (k key) String() string {
	if k.ephemeral != 0 {
		return fmt.Sprintf("%s/%s of receiver %d", k.topic, k.name, k.ephemeral)
	}
	return k.topic + "/" + k.name
}

func (o *Op) key() key {
	k := key{part: part{o.Topic, o.Shard}, name: o.Name}
	if o.Ephemeral {
		k.ephemeral = o.Handle
	}
	return k
}

// Rule names one thing that a history must not show.
type Rule string

// The rules. The first is CheckLinearizable's, the others are CheckCounting's.
const (
	NotLinearizable Rule = "not linearizable"

	Lost        Rule = "event lost"
	Behind      Rule = "event from behind the cursor"
	Disordered  Rule = "event out of order"
	Strayed     Rule = "event delivered past its topic"
	Misnumbered Rule = "IDs not unique and increasing"
	Altered     Rule = "event not as it was sent"
	Stalled     Rule = "parked with something to return"
	Misreported Rule = "wrong error"
)

// Violation is one rule that a history breaks.
type Violation struct {
	Rule   Rule
	Detail string
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s", v.Rule, v.Detail) }
