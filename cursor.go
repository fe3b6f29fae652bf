package memstreamer

import (
	"math"
	"time"
)

// cursor is the position of one consumer. It outlives its receivers, unless it is
// ephemeral: until it is forgotten, it holds the event at next and all that follow.
type cursor struct {
	topic     *topic
	name      string
	ephemeral bool
	life      int64 // see Consumer.Life; 0 without a Journal

	next       int64 // position of the oldest event not acked
	deliveries int64 // how often Recv has returned that event
	acked      int64 // events acked
	ackedID    int64 // of the newest of them
	receivers  int   // open
	parked     int   // calls of Recv that wait
	forgotten  bool
	expiry     expiry // of the latest close of a receiver; scheduled while none is open
}

// key returns what finds c in its topic: its name or, since an ephemeral receiver shares
// its cursor with nobody of its name, c itself.
func (c *cursor) key() any {
	if c.ephemeral {
		return c
	}
	return c.name
}

func (c *cursor) open() {
	if c.receivers == 0 {
		c.topic.streamer.retention.cancel(&c.expiry)
		c.expiry.since = math.MinInt64
	}
	c.receivers++
}

func (c *cursor) close(now time.Duration) {
	// A Close reads the clock before it locks: the last to lock may have the earlier
	// time.
	c.expiry.since = max(c.expiry.since, now)
	c.receivers--
	switch {
	case c.receivers > 0:
	case c.ephemeral:
		c.forget()
	default:
		c.topic.streamer.retention.schedule(&c.expiry, c.expiry.since)
	}
}

// lag returns how many events are kept and not acked.
func (c *cursor) lag() int64 { return c.topic.log.end() - c.next }

// ack commits the event at position. It changes nothing if that event was acked
// before or the cursor is forgotten.
func (c *cursor) ack(position int64) {
	if position == c.next && !c.forgotten {
		c.advance(position + 1)
	}
}

// advance commits the events before position, of which there is one at least.
func (c *cursor) advance(position int64) {
	l := &c.topic.log
	c.acked += position - c.next
	c.ackedID = l.at(position - 1).id
	c.deliveries = 0
	l.release(c.next)
	c.next = position
	l.hold(c.next)
	c.topic.reschedule()
}

// forget removes the cursor from its topic, and the topic if nothing else refers to
// it.
func (c *cursor) forget() {
	t := c.topic
	c.forgotten = true
	t.streamer.retention.cancel(&c.expiry)
	t.log.release(c.next)
	t.cursors.delete(c.key())
	t.streamer.cursors--
	t.reschedule()
	t.forgetIfUnused()
	if t.streamer.dropped != nil && !c.ephemeral {
		t.streamer.dropped.consumers.push(c.consumer())
	}
}

// expire implements [expirer].
func (c *cursor) expire() { c.forget() }
