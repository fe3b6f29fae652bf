package memstreamer

import (
	"strings"
	"sync"
	"time"
)

// topic is one topic: its events, and the cursors on them.
type topic struct {
	streamer *StreamConstructor
	name     string

	// changed is what receivers of the topic park on. It is broadcast after an
	// append, and whenever a parked receiver may have to return for another reason.
	changed sync.Cond

	log     log
	cursors registry[any, *cursor]
	users   int    // open senders and receivers
	expiry  expiry // of the oldest event, scheduled while only its age keeps it
}

func newTopic(s *StreamConstructor, name string) *topic {
	// Clone: name may be a substring that would pin a larger string.
	t := &topic{streamer: s, name: strings.Clone(name)}
	t.changed.L = &s.mu
	t.expiry.of = t
	return t
}

// append adds an event. The caller broadcasts changed.
func (t *topic) append(id int64, createdAt time.Time, added time.Duration, payload []byte) {
	t.log.append(id, createdAt, added, payload)
	t.reschedule()
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

// start returns the position at which a new cursor starts.
func (t *topic) start(o ReceiverOptions, now time.Duration) int64 {
	if o.StreamFromLatest {
		return t.log.end()
	}
	// An event past the period is there for the consumers that have not acked it, and
	// not for new ones: if these came and went, they would hold it forever.
	return t.log.search(func(s *slot) bool {
		return !t.streamer.retention.past(s.added, now) && (o.StreamFromLast == 0 || now-s.added <= o.StreamFromLast)
	})
}

func (t *topic) newCursor(name string, position int64, ephemeral bool) *cursor {
	// Clone: name may be a substring that would pin a larger string.
	c := &cursor{topic: t, name: strings.Clone(name), ephemeral: ephemeral, next: position}
	c.expiry.of = c
	t.log.hold(position)
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
	t.log.dropOldest()
	t.reschedule()
	t.forgetIfUnused()
}
