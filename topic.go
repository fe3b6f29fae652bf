package memstreamer

import (
	"strings"
	"sync"
	"time"
)

// topic is one topic: its events, and the cursors on them. Each method that may
// leave it unused, or that changes its oldest event or who holds it, ends with
// settle.
type topic struct {
	streamer *StreamConstructor
	name     string

	// changed is what receivers of the topic park on. It is broadcast after an
	// append, and whenever a parked receiver may have to return for another reason.
	changed sync.Cond

	log     log
	cursors registry[*cursor]
	users   int    // open senders and receivers
	expiry  ticket // of the oldest event, queued while only its age keeps it
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
	t.settle()
}

func (t *topic) newSender() *sender {
	t.users++
	return &sender{topic: t}
}

func (t *topic) newReceiver(name string, latest bool, now time.Duration) *receiver {
	t.users++ // before a cursor expires, which may be all that keeps the topic
	c := t.cursors.get(name)
	if c != nil && c.receivers == 0 && t.streamer.retention.past(c.expiry.since, now) {
		c.expire()
		c = nil
	}
	if c == nil {
		c = t.newCursor(name, t.start(latest, now))
	}
	c.open()
	return &receiver{streamer: t.streamer, cursor: c}
}

// start returns the position at which a new name starts.
func (t *topic) start(latest bool, now time.Duration) int64 {
	if latest {
		return t.log.end()
	}
	// An event past the period is there for the names that have not acked it, and
	// not for new ones: names that come, take nothing and go would hold it forever.
	return t.log.search(func(s *slot) bool { return !t.streamer.retention.past(s.added, now) })
}

func (t *topic) newCursor(name string, position int64) *cursor {
	// Clone: name may be a substring that would pin a larger string.
	c := &cursor{topic: t, name: strings.Clone(name), next: position}
	c.expiry.of = c
	t.log.hold(position)
	t.cursors.put(c.name, c)
	t.streamer.cursors++
	t.settle()
	return c
}

// leave ends the use by one sender or receiver.
func (t *topic) leave() {
	t.users--
	t.settle()
}

// settle queues the oldest event for expiry if no cursor holds it, and forgets
// the topic if nothing refers to it.
func (t *topic) settle() {
	empty := t.log.kept() == 0
	if !empty && t.log.oldest().holders == 0 {
		t.streamer.retention.add(&t.expiry, t.log.oldest().added)
	} else {
		t.streamer.retention.remove(&t.expiry)
	}
	if empty && t.cursors.len == 0 && t.users == 0 {
		t.streamer.topics.delete(t.name)
	}
}

// expire drops the oldest event.
func (t *topic) expire() {
	t.log.dropOldest()
	t.settle()
}
