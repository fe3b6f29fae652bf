package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/judge"
)

// name is one consumer of a topic, and what it got so far. If it is ephemeral, it is
// those of one receiver after another.
type name struct {
	*topic
	name      string
	ephemeral bool

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

func (n *name) failf(format string, args ...any) {
	n.soak.failf("%s/%s: %s", n.topic.topic, n.name, fmt.Sprintf(format, args...))
}

// openReceiver returns nil after a failure. A new cursor starts at the latest, or with
// the last so long, if that is not 0.
func (n *name) openReceiver(latest bool, last time.Duration) memstreamer.EventReceiver {
	n.mu.Lock()
	defer n.mu.Unlock()
	began := time.Now()
	var opts []memstreamer.ReceiverOption
	if latest {
		opts = append(opts, memstreamer.StreamFromLatest())
	}
	age := n.retention
	if last > 0 {
		opts = append(opts, memstreamer.StreamFromLast(last))
		age = min(age, last)
	}
	if n.ephemeral {
		opts = append(opts, memstreamer.Ephemeral())
	}
	r, err := n.streamer.NewReceiver(context.Background(), n.topic.topic, n.name, opts...)
	if err != nil {
		n.failf("NewReceiver: %v", err)
		return nil
	}
	// What is older is not for a new consumer.
	old, _ := n.before(began.Add(-age))
	_, mayBeOld := n.before(time.Now().Add(-age))
	if latest {
		old, mayBeOld = n.last.Load(), n.last.Load()
	}
	first := n.left.IsZero() || n.ephemeral
	if n.open == 0 && (first || time.Since(n.left) > n.retention) {
		n.cursor.Opening(judge.Start{Low: old + 1, High: mayBeOld + 1}, first)
		n.cursor.Opened()
		if first {
			n.seen = 0
		} else {
			n.forgotten.Add(1)
		}
	}
	n.open++
	return r
}

func (n *name) closeReceiver(r memstreamer.EventReceiver) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left = time.Now()
	if err := r.Close(); err != nil {
		n.failf("Close: %v", err)
	}
	n.open--
}

// delivery is an event that Recv returned.
type delivery struct {
	number int64
	mark   judge.Mark
	ack    memstreamer.Ack
}

// receive returns the error of a Recv, or judges what that returned.
func (n *name) receive(ctx context.Context, r memstreamer.EventReceiver) (delivery, error) {
	n.mu.Lock()
	mark := n.cursor.Receiving()
	n.mu.Unlock()
	event, ack, err := r.Recv(ctx)
	if err != nil {
		return delivery{}, err
	}
	number, err := strconv.ParseInt(event.ForeignID, 10, 64)
	if err != nil {
		n.failf("got event %q", event.ForeignID)
	}
	n.received.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch low := n.cursor.Low(); n.cursor.Received(mark, number) {
	case judge.Behind:
		n.failf("got event %d again, or too old: event %d was next", number, low)
	case judge.Skipped:
		n.failf("got event %d, and an event before it has not come", number)
	}
	if number <= n.seen {
		n.redelivered.Add(1)
	}
	if old, _ := n.before(time.Now().Add(-n.retention)); number <= old {
		n.old.Add(1)
	}
	n.seen = max(n.seen, number)
	return delivery{number, mark, ack}, nil
}

func (n *name) ack(d delivery) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cursor.Acking(d.number)
	if err := d.ack(); err != nil {
		n.failf("Ack: %v", err)
	}
	n.cursor.Acked(d.mark, d.number)
	n.acked = max(n.acked, d.number)
}
