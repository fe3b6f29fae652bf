package memstreamer

import (
	"container/heap"
	"strings"
	"time"
)

// cursor is how far one (topic, name) has acked. It outlives its receivers.
type cursor struct {
	topic *topic
	name  string

	// Guarded by the StreamConstructor's mu.

	next    int64 // the position in the topic's log of the oldest event not acked
	ackedID int64 // the ID of the newest event acked
	open    int   // receivers that are open
	parked  int   // calls of Recv that wait

	// Of use with retention, while no receiver is open.
	idleSince time.Duration
	place     int // in retention.idle
}

// openCursorLocked returns the cursor of (t, name) for one more receiver. Where
// there is none, or one that has expired, it is made: at the oldest event kept
// or, with latest, past the newest.
func (s *StreamConstructor) openCursorLocked(t *topic, name string, latest bool, now time.Duration) *cursor {
	c := t.cursors[name]
	if c != nil && c.open == 0 && s.retention.period > 0 {
		if s.retention.expired(c.idleSince, now) {
			s.forgetLocked(c)
			c = nil
		} else {
			heap.Remove(&s.retention.idle, c.place)
		}
	}
	if c == nil {
		// The name may be a piece of something large of the caller's.
		c = &cursor{topic: t, name: strings.Clone(name)}
		if latest {
			c.next = t.log.next
		}
		t.cursors[c.name] = c
		s.cursors++
	}
	if c.open == 0 {
		c.next = max(c.next, t.log.first)
		*t.log.holders(c.next)++
	}
	c.open++
	return c
}

// closeCursorLocked ends the use of c by one receiver.
func (s *StreamConstructor) closeCursorLocked(c *cursor, now time.Duration) {
	c.open--
	if c.open > 0 {
		return
	}
	*c.topic.log.holders(c.next)--
	if s.retention.period > 0 {
		c.idleSince = now
		heap.Push(&s.retention.idle, c)
	}
}

// ackLocked commits the event at position. One that is behind the cursor was
// committed before, by an ack of its own, or dropped.
func (c *cursor) ackLocked(position, id int64) {
	c.ackedID = max(c.ackedID, id)
	if position < c.next {
		return
	}
	if c.open > 0 {
		*c.topic.log.holders(c.next)--
		*c.topic.log.holders(position + 1)++
	}
	c.next = position + 1
}
