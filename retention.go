package memstreamer

import (
	"container/heap"
	"container/list"
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

	expiring expiring  // the topics whose oldest event only its age keeps
	idle     list.List // of *cursor without an open receiver, the longest without first
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

// sweepLocked has to follow every change to t, its log or its cursors. It drops
// what has expired in any topic, the oldest first, up to the limit.
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
		front := s.retention.idle.Front()
		if front == nil {
			break
		}
		c := front.Value.(*cursor)
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
	s.retention.idle.Remove(c.idle)
	delete(c.topic.cursors, c.name)
	s.cursors--
}

// expiring is a heap of topics by the age of their oldest event.
type expiring []*topic

func (e expiring) Len() int           { return len(e) }
func (e expiring) Less(i, j int) bool { return e[i].log.oldest().added < e[j].log.oldest().added }
func (e expiring) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i, j
}

func (e *expiring) Push(t any) {
	t.(*topic).place = len(*e)
	*e = append(*e, t.(*topic))
}

func (e *expiring) Pop() any {
	last := len(*e) - 1
	t := (*e)[last]
	t.place = -1
	(*e)[last] = nil
	*e = (*e)[:last]
	return t
}
