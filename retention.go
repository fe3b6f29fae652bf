package memstreamer

import (
	"container/heap"
	"time"
)

// sweepLimit is how many events, and how many cursors, one call drops at most.
// It is more than one call adds, so that sweeping keeps up with any traffic.
const sweepLimit = 32

// retention is what a streamer with [WithRetention] knows about age. Times are
// durations since epoch by the streamer's clock. Nothing here has a goroutine
// or a timer: the calls that change the log sweep it, each a bounded amount.
type retention struct {
	period time.Duration // everything is kept for good where it is 0
	epoch  time.Time

	// Guarded by the StreamConstructor's mu.

	expiring queue[*topic]  // those whose oldest event only its age keeps
	idle     queue[*cursor] // those without an open receiver
}

// now reads the clock, which is user code: the lock must not be held.
func (s *StreamConstructor) now() time.Duration {
	if s.retention.period == 0 {
		return 0
	}
	return s.retention.age(s.clock.Now())
}

func (r *retention) age(t time.Time) time.Duration {
	return t.Sub(r.epoch)
}

func (r *retention) expired(since, now time.Duration) bool {
	return now-since > r.period
}

// sweepLocked has to follow every change by which something of t may expire, or
// no longer. It drops what has expired in any topic, the oldest first, up to the
// limit.
func (s *StreamConstructor) sweepLocked(t *topic, now time.Duration) {
	if s.retention.period == 0 {
		return
	}
	s.settleLocked(t)
	for range sweepLimit {
		if len(s.retention.expiring) == 0 {
			break
		}
		t := s.retention.expiring[0]
		if !s.retention.expired(t.log.oldest().added, now) {
			break
		}
		t.log.dropOldest()
		s.settleLocked(t)
	}
	for range sweepLimit {
		if len(s.retention.idle) == 0 {
			break
		}
		c := s.retention.idle[0]
		if !s.retention.expired(c.idleSince, now) {
			break
		}
		s.forgetLocked(c)
		s.settleLocked(c.topic)
	}
}

// settleLocked puts t among the expiring topics where only its age keeps its
// oldest event, and nowhere otherwise. It forgets a topic that nothing keeps.
func (s *StreamConstructor) settleLocked(t *topic) {
	expires := t.log.kept() > 0 && t.log.oldest().holders == 0
	switch {
	case expires && t.place < 0:
		heap.Push(&s.retention.expiring, t)
	case expires:
		heap.Fix(&s.retention.expiring, t.place)
	case t.place >= 0:
		heap.Remove(&s.retention.expiring, t.place)
	}
	// An ack may come from before t was forgotten, when the name is another's.
	if t.log.kept() == 0 && len(t.cursors) == 0 && t.open == 0 && s.topics[t.name] == t {
		delete(s.topics, t.name)
	}
}

// forgetLocked drops a cursor without an open receiver. Acks that refer to it
// go on to succeed, and change nothing.
func (s *StreamConstructor) forgetLocked(c *cursor) {
	heap.Remove(&s.retention.idle, c.place)
	delete(c.topic.cursors, c.name)
	s.cursors--
}

// queue is a heap of what expires, the oldest first. The clock may go back, so
// that what comes last need not be the youngest.
type queue[T expirer] []T

type expirer interface {
	since() time.Duration // by the clock of retention
	put(place int)        // in its queue; -1 when it is not there
}

func (t *topic) since() time.Duration { return t.log.oldest().added }
func (t *topic) put(place int)        { t.place = place }

func (c *cursor) since() time.Duration { return c.idleSince }
func (c *cursor) put(place int)        { c.place = place }

func (q queue[T]) Len() int           { return len(q) }
func (q queue[T]) Less(i, j int) bool { return q[i].since() < q[j].since() }
func (q queue[T]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].put(i)
	q[j].put(j)
}

func (q *queue[T]) Push(x any) {
	x.(T).put(len(*q))
	*q = append(*q, x.(T))
}

func (q *queue[T]) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	x.put(-1)
	clear((*q)[last:])
	*q = (*q)[:last]
	return x
}
