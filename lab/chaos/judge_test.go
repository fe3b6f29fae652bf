package chaos

import (
	"fmt"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

// judge watches one (topic, name), which receivers of several processes share.
// Its events are numbered from 1 in the order in which they are sent, and anew
// in each stream.
type judge struct {
	mu       sync.Mutex
	stream   int   // counts the streams
	sent     int   // numbers whose Send was confirmed
	seen     int   // the highest number received
	last     int   // the highest number whose ack was confirmed
	acked    int64 // its ID
	progress time.Time
	verdict
}

// verdict is what a judge found.
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

// progressedLocked ends a stall.
func (j *judge) progressedLocked() {
	now := time.Now()
	if j.seen < j.sent && !j.progress.IsZero() {
		j.stall = max(j.stall, now.Sub(j.progress))
	}
	j.progress = now
}

// sends notes that the next event is there.
func (j *judge) sends() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.sent <= j.seen {
		j.progress = time.Now() // there was nothing to receive before
	}
	j.sent++
}

// name returns the foreign ID of the next event to be sent.
func (j *judge) name() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return fmt.Sprint(j.stream, " ", j.sent+1)
}

// recvCall is one call of Recv, and the ack of what it returned.
type recvCall struct {
	judge  *judge
	stream int
	acked  int64 // when it was called
}

func (j *judge) begin() recvCall {
	j.mu.Lock()
	defer j.mu.Unlock()
	return recvCall{j, j.stream, j.acked}
}

// parse returns what name put into an event.
func parse(e *memstreamer.Event) (stream, number int) {
	if _, err := fmt.Sscanf(e.ForeignID, "%d %d", &stream, &number); err != nil {
		panic(fmt.Sprintf("foreign ID %q: %v", e.ForeignID, err))
	}
	return stream, number
}

func (c recvCall) receives(e *memstreamer.Event) {
	stream, number := parse(e)
	j := c.judge
	j.mu.Lock()
	defer j.mu.Unlock()
	if stream != j.stream {
		return // it was received before the stream was made anew
	}
	j.progressedLocked()
	j.received++
	if c.stream == stream && e.ID <= c.acked {
		j.repeated++
	}
	switch {
	case number == j.seen+1:
		j.seen++
	case number > j.seen+1:
		j.reordered++
		j.seen = number
	}
}

func (c recvCall) acks(e *memstreamer.Event) {
	j := c.judge
	j.mu.Lock()
	defer j.mu.Unlock()
	if stream, number := parse(e); stream == j.stream {
		j.progressedLocked()
		j.acked = max(j.acked, e.ID)
		j.last = max(j.last, number)
	}
}

// done reports whether all that was sent has been received, and the last acked.
func (j *judge) done() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seen >= j.sent && j.last == j.sent
}

// anew begins another stream.
func (j *judge) anew() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lost += max(0, j.sent-j.seen)
	j.stream++
	j.sent, j.seen, j.last, j.acked = 0, 0, 0, 0
}

func (j *judge) end() verdict {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := j.verdict
	v.lost += max(0, j.sent-j.seen)
	return v
}
