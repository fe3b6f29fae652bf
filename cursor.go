package memstreamer

import (
	"fmt"
	"math"
	"time"
)

// cursor is the position of one consumer. It outlives its receivers, unless it is
// ephemeral: until it is forgotten, it holds the event at next and all that follow.
type cursor struct {
	topic     *topic
	shard     *shard
	name      string
	ephemeral bool
	life      int64 // see Consumer.Life; 0 without a Journal

	next       int64 // position in shard of the oldest event not acked
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

// check returns an error unless c has the shard of o.
func (c *cursor) check(o ReceiverOptions) error {
	if o.ShardIndex != c.shard.index || o.ShardCount != c.shard.count {
		return fmt.Errorf("%w: the consumer of topic %q and name %q was made with %s, and the receiver is opened with %s: forget it first, or choose another name",
			ErrShard, c.topic.name, c.name, shardText(c.shard.index, c.shard.count), shardText(o.ShardIndex, o.ShardCount))
	}
	return nil
}

// lag returns how many events of the shard are kept and not acked.
func (c *cursor) lag() int64 { return c.shard.end() - c.next }

// ack commits the event at position. It changes nothing if that event was acked
// before or the cursor is forgotten.
func (c *cursor) ack(position int64) {
	if position == c.next && !c.forgotten {
		c.advance(position + 1)
	}
}

// advance commits the events before position, of which there is one at least.
func (c *cursor) advance(position int64) {
	c.acked += position - c.next
	c.ackedID = c.shard.at(position - 1).id
	c.deliveries = 0
	c.shard.release(c.next)
	c.next = position
	c.shard.hold(c.next)
	c.topic.reschedule()
}

// forget removes the cursor from its topic, and the topic if nothing else refers to
// it.
func (c *cursor) forget() {
	t := c.topic
	c.forgotten = true
	t.streamer.retention.cancel(&c.expiry)
	c.shard.release(c.next)
	t.cursors.delete(c.key())
	c.shard.leave()
	t.streamer.cursors--
	t.reschedule()
	t.forgetIfUnused()
	if t.streamer.dropped != nil && !c.ephemeral {
		t.streamer.dropped.consumers.push(c.consumer())
	}
}

// expire implements [expirer].
func (c *cursor) expire() { c.forget() }
