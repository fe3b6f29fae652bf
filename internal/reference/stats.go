package reference

import (
	"cmp"
	"slices"
	"time"

	"github.com/memstreamer/memstreamer"
)

// old reports whether what is from a time is past the period.
func (s *Streamer) old(since, now time.Time) bool {
	return s.retention > 0 && now.Sub(since) > s.retention
}

// expired reports whether c may be forgotten.
func (s *Streamer) expired(c *cursor, now time.Time) bool {
	return c.open == 0 && s.old(c.closedAt, now)
}

// expire drops all that is past the period: cursors without a receiver, events that
// no cursor holds, and topics that nothing refers to.
func (s *Streamer) expire(now time.Time) {
	for topic, t := range s.topics {
		t.cursors = slices.DeleteFunc(t.cursors, func(c *cursor) bool { return s.expired(c, now) })
		held := t.end()
		for _, c := range t.cursors {
			c.passOver()
			if !s.lets(c) {
				held = min(held, s.holds(c))
			}
		}
		n := 0
		for n < held-t.dropped && (s.old(t.events[n].added, now) || s.dropsWrongly()) {
			n++
		}
		if n > 0 && n < len(t.events) && s.does("trims one event too early") && s.every(10) {
			n++
		}
		t.events = slices.Delete(t.events, 0, n)
		t.dropped += n
		for _, c := range t.cursors {
			if c.next < t.dropped { // by a fault
				s.shown.Add(1)
				c.next = t.dropped
			}
		}
		if len(t.events) == 0 && len(t.cursors) == 0 && t.senders == 0 {
			delete(s.topics, topic)
		}
	}
}

// lets reports whether a fault has c hold no events.
func (f *Fault) lets(c *cursor) bool {
	return c.open == 0 && f.does("keeps nothing for a closed receiver") ||
		c.ephemeral && f.does("keeps nothing for an ephemeral receiver") ||
		c.shard.count > 0 && f.does("keeps nothing for a shard")
}

// holds returns the place of the oldest event that c holds: by a fault, one that it has
// passed over.
func (f *Fault) holds(c *cursor) int {
	place := c.next
	if f.does("has a shard hold what it passes over") {
		for place > c.dropped && !c.shard.has(c.events[place-1-c.dropped].Event) {
			f.shown.Add(1)
			place--
		}
	}
	return place
}

// dropsWrongly reports whether a fault drops what is not held, of any age. It does so
// where there is no period to wait for.
func (s *Streamer) dropsWrongly() bool {
	return s.retention == 0 && (s.shows("keeps nothing for a closed receiver") || s.shows("keeps nothing for an ephemeral receiver") || s.shows("keeps nothing for a shard"))
}

// Stats drops what has expired, and describes what is left.
func (s *Streamer) Stats() memstreamer.Stats {
	now := s.lock()
	defer s.mu.Unlock()
	s.expire(now)
	stats := memstreamer.Stats{Topics: []memstreamer.TopicStats{}, Receivers: []memstreamer.ReceiverStats{}}
	for name, t := range s.topics {
		of := memstreamer.TopicStats{Topic: name, Retained: len(t.events), Sent: int64(t.end())}
		if of.Retained > 0 {
			of.FirstID, of.LastID = t.events[0].ID, t.events[of.Retained-1].ID
		}
		stats.Topics = append(stats.Topics, of)
		for _, c := range t.cursors {
			of := memstreamer.ReceiverStats{
				Topic: name, Name: c.name, Ephemeral: c.ephemeral, Open: c.open, Parked: c.parked, Lag: s.lag(c),
				AckedID: c.ackedID, Acked: c.acked, Deliveries: c.deliveries,
			}
			if of.Lag > 0 {
				of.OldestUnacked = t.events[c.next-t.dropped].CreatedAt
			}
			stats.Receivers = append(stats.Receivers, of)
		}
	}
	slices.SortFunc(stats.Topics, func(a, b memstreamer.TopicStats) int { return cmp.Compare(a.Topic, b.Topic) })
	slices.SortFunc(stats.Receivers, func(a, b memstreamer.ReceiverStats) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Name, b.Name))
	})
	return stats
}

// lag returns how many events of c's shard are kept and not acked.
func (f *Fault) lag(c *cursor) (n int64) {
	for _, e := range c.events[c.next-c.dropped:] {
		if c.shard.has(e.Event) || f.shows("counts the events of all shards in Lag") {
			n++
		}
	}
	return n
}
