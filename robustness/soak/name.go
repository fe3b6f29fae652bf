package main

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

// name is one name on a topic, and how far it has come.
type name struct {
	*topic
	name string

	mu    sync.Mutex
	acked int64 // the number of the newest event acked
	seen  int64 // and of the newest received
	open  int
	left  time.Time // when the last receiver was about to be closed

	// Since the first of those open was opened:
	resumed    time.Time // when, at the latest
	mayRestart bool      // the cursor may have been forgotten before
	first      bool      // nothing was received yet

	restarts int // how often the cursor was found forgotten
}

func (n *name) lag() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last.Load() - n.acked
}

func (n *name) isOpen() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open > 0
}

func (n *name) openReceiver() (memstreamer.EventReceiver, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.streamer.NewReceiver(context.Background(), n.topic.topic, n.name)
	if err != nil {
		return nil, err
	}
	if n.open == 0 {
		n.resumed, n.first = time.Now(), true
		n.mayRestart = !n.left.IsZero() && n.resumed.Sub(n.left) > n.retention
	}
	n.open++
	return r, nil
}

func (n *name) closeReceiver(r memstreamer.EventReceiver) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left = time.Now()
	if err := r.Close(); err != nil {
		n.failf("%s/%s: Close: %v", n.topic.topic, n.name, err)
	}
	n.open--
}

// position is how far a name had come when Recv was called.
type position struct {
	acked    int64
	restarts int
}

func (n *name) position() position {
	n.mu.Lock()
	defer n.mu.Unlock()
	return position{n.acked, n.restarts}
}

// check judges an event that a Recv returned that was called at from.
func (n *name) check(event *memstreamer.Event, from position) (number int64) {
	number, err := strconv.ParseInt(event.ForeignID, 10, 64)
	if err != nil {
		n.failf("%s/%s: got event %q", n.topic.topic, n.name, event.ForeignID)
		return 0
	}
	n.received.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	first := n.first
	n.first = false
	switch {
	case n.mayRestart && first && (number == 1 || n.age(number-1, n.resumed) > n.retention):
		// It starts as a new name does: at the oldest event kept.
		if number != n.acked+1 {
			n.forgotten.Add(1)
			n.restarts++
			n.acked, n.seen = number-1, number-1
		}
	case number <= from.acked && n.restarts == from.restarts:
		n.failf("%s/%s: got event %d again, after the ack of event %d", n.topic.topic, n.name, number, from.acked)
	case number <= n.acked+1:
	case first && n.age(number-1, n.resumed) > n.retention:
		n.dropped.Add(number - 1 - n.acked)
		n.acked = number - 1
	default:
		n.failf("%s/%s: got event %d, and event %d has not come", n.topic.topic, n.name, number, n.acked+1)
		n.acked = number - 1 // to go on with
	}
	if number <= n.seen {
		n.redelivered.Add(1)
	}
	n.seen = max(n.seen, number)
	return number
}

func (n *name) ack(number int64, ack memstreamer.Ack) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := ack(); err != nil {
		n.failf("%s/%s: Ack: %v", n.topic.topic, n.name, err)
	}
	n.acked = max(n.acked, number)
}
