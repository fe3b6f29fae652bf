package chaos

import (
	"fmt"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

// traffic is what was sent to one topic, and received by its one consumer in several
// processes. Its events are numbered from 1 as they are sent, and anew in each stream.
//
// It allows for more than package judge does: a server that is killed may have forgotten
// an ack that it had not confirmed, although it has delivered the event after that.
type traffic struct {
	mu       sync.Mutex
	stream   int // counts the streams
	sent     int // confirmed
	seen     int // the highest number received
	acked    int // the highest number whose ack was confirmed
	progress time.Time
	verdict
}

// verdict is what was found.
type verdict struct {
	received, lost, repeated, reordered int
	stall                               time.Duration // the longest time without progress while there was an event
}

func (v verdict) String() string {
	return fmt.Sprintf("%d received, %d not received, %d repeated after their ack, %d out of order, the longest stall %v",
		v.received, v.lost, v.repeated, v.reordered, v.stall.Round(time.Millisecond))
}

func (v *verdict) add(other verdict) {
	v.received += other.received
	v.lost += other.lost
	v.repeated += other.repeated
	v.reordered += other.reordered
	v.stall = max(v.stall, other.stall)
}

func locked[T any](tr *traffic, f func() T) T {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return f()
}

// next returns the foreign ID of the next event to be sent.
func (tr *traffic) next() string {
	return locked(tr, func() string { return fmt.Sprint(tr.stream, " ", tr.sent+1) })
}

// sends notes that the next event is there.
func (tr *traffic) sends() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.sent <= tr.seen {
		tr.progress = time.Now() // there was nothing to receive before
	}
	tr.sent++
}

// recvCall is one call of Recv, and the ack of what it returned.
type recvCall struct {
	*traffic
	during, before int // the stream, and the highest number acked, when it was called
}

func (tr *traffic) receiving() recvCall {
	return locked(tr, func() recvCall { return recvCall{tr, tr.stream, tr.acked} })
}

func (c recvCall) receives(e *memstreamer.Event) {
	c.note(e, func(number int) {
		c.received++
		if c.during == c.stream && number <= c.before {
			c.repeated++
		}
		if number > c.seen+1 {
			c.reordered++
		}
		c.seen = max(c.seen, number)
	})
}

func (c recvCall) acks(e *memstreamer.Event) {
	c.note(e, func(number int) { c.acked = max(c.acked, number) })
}

// note ends a stall and calls f with the number of e, unless the stream of e is gone.
func (tr *traffic) note(e *memstreamer.Event, f func(number int)) {
	var stream, number int
	if _, err := fmt.Sscanf(e.ForeignID, "%d %d", &stream, &number); err != nil {
		panic(fmt.Sprintf("foreign ID %q: %v", e.ForeignID, err))
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if stream != tr.stream {
		return
	}
	now := time.Now()
	if tr.seen < tr.sent && !tr.progress.IsZero() {
		tr.stall = max(tr.stall, now.Sub(tr.progress))
	}
	tr.progress = now
	f(number)
}

// done reports whether all that was sent has been received, and the last acked.
func (tr *traffic) done() bool {
	return locked(tr, func() bool { return tr.seen >= tr.sent && tr.acked == tr.sent })
}

// anew begins another stream.
func (tr *traffic) anew() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.lost += max(0, tr.sent-tr.seen)
	tr.stream++
	tr.sent, tr.seen, tr.acked = 0, 0, 0
}

func (tr *traffic) end() verdict {
	return locked(tr, func() verdict {
		v := tr.verdict
		v.lost += max(0, tr.sent-tr.seen)
		return v
	})
}
