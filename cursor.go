package memstreamer

import (
	"math"
	"time"
)

// cursor is how far one (topic, name) has acked. It outlives its receivers: until
// it is forgotten, it holds the event at next and all that follow.
type cursor struct {
	topic *topic
	name  string

	next       int64         // position of the oldest event not acked
	deliveries int64         // how often Recv has returned that event
	acked      int64         // events acked
	ackedID    int64         // of the newest of them
	receivers  int           // open
	parked     int           // calls of Recv that wait
	closedAt   time.Duration // the latest close of a receiver, since all were closed
	forgotten  bool
	expiry     ticket // queued while no receiver is open
}

func (c *cursor) open() {
	if c.receivers == 0 {
		c.closedAt = math.MinInt64
		c.topic.streamer.retention.remove(&c.expiry)
	}
	c.receivers++
}

func (c *cursor) close(now time.Duration) {
	// A Close reads the clock before it locks: the last to lock may have the earlier
	// time.
	c.closedAt = max(c.closedAt, now)
	c.receivers--
	if c.receivers == 0 {
		c.topic.streamer.retention.add(&c.expiry, c.closedAt)
	}
}

// lag returns how many events are kept and not acked.
func (c *cursor) lag() int64 { return c.topic.log.end() - c.next }

// ack commits the event at position. It changes nothing if that event was acked
// before or the cursor is forgotten.
func (c *cursor) ack(position int64) {
	if position != c.next || c.forgotten {
		return
	}
	l := &c.topic.log
	c.ackedID = l.at(position).id
	c.acked++
	c.deliveries = 0
	l.release(c.next)
	c.next = position + 1
	l.hold(c.next)
	c.topic.settle()
}

// expire forgets the cursor.
func (c *cursor) expire() {
	t := c.topic
	c.forgotten = true
	t.streamer.retention.remove(&c.expiry)
	t.log.release(c.next)
	t.cursors.delete(c.name)
	t.streamer.cursors--
	t.settle()
}
