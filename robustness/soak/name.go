package main

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/robustness/internal/judge"
)

// name is one name on a topic, and what it got so far.
type name struct {
	*topic
	name string

	mu     sync.Mutex
	cursor judge.Cursor
	acked  int64 // the number of the newest event acked
	seen   int64 // and of the newest received
	open   int
	left   time.Time // when the last receiver was about to be closed
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
	began := time.Now()
	r, err := n.streamer.NewReceiver(context.Background(), n.topic.topic, n.name)
	if err != nil {
		return nil, err
	}
	// What is older than the period is not for a new name.
	old, _ := n.before(began.Add(-n.retention))
	_, mayBeOld := n.before(time.Now().Add(-n.retention))
	first := n.left.IsZero()
	if n.open == 0 && (first || time.Since(n.left) > n.retention) {
		n.cursor.Opening(judge.Start{Low: old + 1, High: mayBeOld + 1}, first)
		n.cursor.Opened()
		if !first {
			n.forgotten.Add(1)
		}
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

func (n *name) receiving() judge.Mark {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cursor.Receiving()
}

// delivery is an event that Recv returned.
type delivery struct {
	number int64
	mark   judge.Mark
	ack    memstreamer.Ack
}

// check judges an event that the Recv of mark returned.
func (n *name) check(event *memstreamer.Event, mark judge.Mark, ack memstreamer.Ack) delivery {
	number, err := strconv.ParseInt(event.ForeignID, 10, 64)
	if err != nil {
		n.failf("%s/%s: got event %q", n.topic.topic, n.name, event.ForeignID)
	}
	n.received.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch low := n.cursor.Low(); n.cursor.Received(mark, number) {
	case judge.Behind:
		n.failf("%s/%s: got event %d again, or too old: event %d was next", n.topic.topic, n.name, number, low)
	case judge.Skipped:
		n.failf("%s/%s: got event %d, and an event before it has not come", n.topic.topic, n.name, number)
	}
	if number <= n.seen {
		n.redelivered.Add(1)
	}
	if old, _ := n.before(time.Now().Add(-n.retention)); number <= old {
		n.old.Add(1)
	}
	n.seen = max(n.seen, number)
	return delivery{number, mark, ack}
}

func (n *name) ack(d delivery) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cursor.Acking(d.number)
	if err := d.ack(); err != nil {
		n.failf("%s/%s: Ack: %v", n.topic.topic, n.name, err)
	}
	n.cursor.Acked(d.mark, d.number)
	n.acked = max(n.acked, d.number)
}
