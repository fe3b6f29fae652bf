package reference

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Fault is one thing that streamers do wrong. It counts over all that have it.
type Fault struct {
	// Does says what: search this package for the string to see how. "" is nothing.
	Does string
	// Life ends the goroutines that the fault leaves, and has to be set for those.
	Life context.Context

	turns, shown atomic.Int64
}

// ErrFault is the error of a fault where there should be another, or none.
var ErrFault = errors.New("the fault's own error")

// Slow is no fault, but what a network makes of the contract: calls that take their
// time, a goroutine for each Send, and IDs with gaps.
const (
	Slow    = "takes its time"
	Latency = time.Millisecond
)

// Subtle returns the faults that only many calls show, or retention. They count how
// often they have shown.
func Subtle() (faults []*Fault) {
	for _, does := range []string{
		"drops one event in a thousand",
		"rewinds on a late ack",
		"loses a wake-up now and then",
		"shares a cursor between topics",
		"trims one event too early",
		"reorders two neighbours",
		"keeps nothing for a closed receiver",
		"gives a new name what is too old for it",
		"keeps nothing for an ephemeral receiver",
		"has ephemeral receivers of a name share a cursor",
		"goes twice as far back as StreamFromLast says",
	} {
		faults = append(faults, &Fault{Does: does})
	}
	return faults
}

// Shards returns the faults of shards that are as subtle.
func Shards() []*Fault {
	return []*Fault{
		{Does: "keeps nothing for a shard"},
		{Does: "has a shard pass over one of its own now and then"},
	}
}

// Books returns the faults that change nothing but what is kept and what Stats tells.
func Books() []*Fault {
	return []*Fault{
		{Does: "has a shard hold what it passes over"},
		{Does: "counts the events of all shards in Lag"},
	}
}

// Shown returns how often the fault has shown, if it is one that counts.
func (f *Fault) Shown() int64 { return f.shown.Load() }

// closedError returns an ErrClosed that says what was closed.
func (f *Fault) closedError(what string) error {
	if f.does("does not say what was closed") {
		return memstreamer.ErrClosed
	}
	return fmt.Errorf("%w: %s", memstreamer.ErrClosed, what)
}

func (f *Fault) does(what string) bool { return f.Does == what }

// shows is does, and counts that the fault has shown.
func (f *Fault) shows(what string) bool {
	if f.Does == what {
		f.shown.Add(1)
	}
	return f.Does == what
}

// turn counts the calls of turn.
func (f *Fault) turn() int64 { return f.turns.Add(1) }

// every reports, in one call of n, that it is the fault's turn to show.
func (f *Fault) every(n int64) bool {
	showing := f.turn()%n == 0
	if showing {
		f.shown.Add(1)
	}
	return showing
}
