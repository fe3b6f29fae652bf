package memstreamer

import (
	"cmp"
	"strings"
	"time"
)

// topic is one topic: its events, and the cursors on them.
type topic struct {
	streamer *StreamConstructor
	name     string

	log     log
	all     shard                  // all of log
	shards  map[int]map[int]*shard // the others, by count and index
	cursors registry[any, *cursor]
	users   int    // open senders and receivers
	expiry  expiry // of the oldest event, scheduled while only its age keeps it
}

func newTopic(s *StreamConstructor, name string) *topic {
	// Clone: name may be a substring that would pin a larger string.
	t := &topic{streamer: s, name: strings.Clone(name)}
	t.all = shard{topic: t}
	t.all.changed.L = &s.mu
	t.expiry.of = t
	return t
}

// append adds an event. It wakes the shards that have it. The caller broadcasts
// all.changed.
func (t *topic) append(id int64, createdAt time.Time, added time.Duration, payload []byte) {
	holders := t.all.caughtUp
	t.all.caughtUp = 0
	for count, shards := range t.shards {
		if s := shards[int(id%int64(count))]; s != nil {
			s.positions.push(t.log.end())
			holders += s.caughtUp
			s.caughtUp = 0
			s.changed.Broadcast()
		}
	}
	t.log.append(id, createdAt, added, payload, holders)
	t.reschedule()
}

// shard returns a shard of t, which is kept up to date once it has a cursor. The caller
// is a user of t: fill unlocks mu.
func (t *topic) shard(index, count int) *shard {
	if count == 0 {
		return &t.all
	}
	if s := t.shards[count][index]; s != nil {
		return s
	}
	s := newShard(t, index, count)
	s.fill()
	return cmp.Or(t.shards[count][index], s)
}

func (t *topic) newSender() *sender {
	t.users++
	return &sender{topic: t}
}

// open returns a receiver at c.
func (t *topic) open(c *cursor) *receiver {
	t.users++
	c.open()
	return &receiver{streamer: t.streamer, cursor: c}
}

func (t *topic) newCursor(s *shard, name string, position int64, ephemeral bool) *cursor {
	// Clone: name may be a substring that would pin a larger string.
	c := &cursor{topic: t, shard: s, name: strings.Clone(name), ephemeral: ephemeral, next: position}
	c.expiry.of = c
	s.hold(position)
	s.enter()
	t.cursors.put(c.key(), c)
	t.streamer.cursors++
	t.reschedule()
	return c
}

// leave ends the use by one sender or receiver.
func (t *topic) leave() {
	t.users--
	t.forgetIfUnused()
}

// reschedule queues the oldest event for expiry if no cursor holds it. Call it after any
// change to which event is the oldest or who holds it.
func (t *topic) reschedule() {
	if t.log.kept() > 0 && t.log.oldest().holders == 0 {
		t.streamer.retention.schedule(&t.expiry, t.log.oldest().added)
	} else {
		t.streamer.retention.cancel(&t.expiry)
	}
}

// forgetIfUnused removes the topic from the streamer if nothing refers to it. Call
// it after a user, a cursor or an event has gone.
func (t *topic) forgetIfUnused() {
	if t.users == 0 && t.cursors.len == 0 && t.log.kept() == 0 {
		t.streamer.topics.delete(t.name)
	}
}

// expire drops the oldest event. It implements [expirer].
func (t *topic) expire() {
	if t.streamer.dropped != nil {
		t.streamer.dropped.events.push(t.log.oldest().id)
	}
	for count, shards := range t.shards {
		if s := shards[int(t.log.oldest().id%int64(count))]; s != nil {
			s.positions.dropFirst()
		}
	}
	t.log.dropOldest()
	t.reschedule()
	t.forgetIfUnused()
}
