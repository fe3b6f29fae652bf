package memstreamer

import (
	"fmt"
	"unsafe"
)

// What tests outside the package may see of its inside.
const (
	SweepLimit  = sweepLimit
	SegmentSize = segmentSize
	MaxChunk    = maxChunk
)

// CheckInvariants checks what the streamer keeps about itself against what it is
// about.
func (s *StreamConstructor) CheckInvariants() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	topics, cursors, queued := 0, 0, map[*ticket]bool{}
	for t := range s.topics.all() {
		topics++
		if s.topics.get(t.name) != t {
			return fmt.Errorf("topic %q is not under its name", t.name)
		}
		if t.log.kept() == 0 && t.cursors.len == 0 && t.users == 0 {
			return fmt.Errorf("nothing keeps topic %q", t.name)
		}
		holders := map[int64]uint32{}
		ofTopic := 0
		for c := range t.cursors.all() {
			ofTopic++
			if t.cursors.get(c.name) != c || c.forgotten {
				return fmt.Errorf("cursor %q is not under its name", c.name)
			}
			if c.next < t.log.slots.first || c.next > t.log.end() {
				return fmt.Errorf("cursor %q at %d is outside of the log, %d to %d", c.name, c.next, t.log.slots.first, t.log.end())
			}
			holders[c.next]++
			if s.retention.period > 0 && c.receivers == 0 {
				queued[&c.expiry] = true
			}
		}
		if ofTopic != t.cursors.len {
			return fmt.Errorf("topic %q has %d cursors, and counts %d", t.name, ofTopic, t.cursors.len)
		}
		cursors += ofTopic
		if err := t.log.check(holders); err != nil {
			return fmt.Errorf("topic %q: %w", t.name, err)
		}
		if s.retention.period > 0 && t.log.kept() > 0 && t.log.oldest().holders == 0 {
			queued[&t.expiry] = true
			if t.expiry.since != t.log.oldest().added {
				return fmt.Errorf("topic %q is queued for %v, and its oldest event was added at %v", t.name, t.expiry.since, t.log.oldest().added)
			}
		}
	}
	if topics != s.topics.len || cursors != s.cursors {
		return fmt.Errorf("%d topics and %d cursors, counted as %d and %d", topics, cursors, s.topics.len, s.cursors)
	}
	q := &s.retention.queue
	if q.Len() != len(queued) {
		return fmt.Errorf("%d tickets are queued, and not %d", q.Len(), len(queued))
	}
	for i := range q.Len() {
		if !queued[q.at(i)] || q.at(i).place != i+1 {
			return fmt.Errorf("ticket %d of the queue is not at its place", i)
		}
		if q.Less(i, max(i-1, 0)/2) {
			return fmt.Errorf("ticket %d of the queue is older than its parent", i)
		}
	}
	return q.tickets.check()
}

// check checks the log, whose events are held by that many cursors.
func (l *log) check(holders map[int64]uint32) error {
	if err := l.slots.check(); err != nil {
		return err
	}
	for position := l.slots.first; position <= l.end(); position++ {
		if *l.holders(position) != holders[position] {
			return fmt.Errorf("the event at %d has %d holders, and not %d", position, *l.holders(position), holders[position])
		}
	}
	for position := l.slots.first + 1; position < l.end(); position++ {
		if older, newer := l.at(position-1), l.at(position); older.id >= newer.id || older.added > newer.added {
			return fmt.Errorf("the event at %d is out of order", position)
		}
	}
	if l.kept() == 0 {
		if l.payloads.chunks != nil {
			return fmt.Errorf("an empty log keeps %d chunks", len(l.payloads.chunks))
		}
		return nil
	}
	if chunks := l.newest().payload.chunk - l.oldest().payload.chunk + 1; int(chunks) != len(l.payloads.chunks) {
		return fmt.Errorf("the events are in %d chunks, and %d are kept", chunks, len(l.payloads.chunks))
	}
	return l.payloads.check()
}

func (a *arena) check() error {
	size := 0
	for i, chunk := range a.chunks {
		size += len(chunk)
		if cap(chunk) > maxChunk && len(chunk) < cap(chunk) {
			return fmt.Errorf("chunk %d has room for %d bytes, and has %d", i, cap(chunk), len(chunk))
		}
	}
	if size != a.size {
		return fmt.Errorf("the chunks have %d bytes, counted as %d", size, a.size)
	}
	return nil
}

func (s *segments[T]) check() error {
	left := int(s.end - s.base)
	for i, part := range s.parts {
		if len(part) != min(left, segmentSize) {
			return fmt.Errorf("segment %d of %d has %d values, and not %d", i, len(s.parts), len(part), min(left, segmentSize))
		}
		left -= len(part)
	}
	if spare := len(s.parts) - (int(s.end-s.base)+segmentSize-1)/segmentSize; left != 0 || spare > 1 || s.first < s.base || s.first-s.base >= segmentSize {
		return fmt.Errorf("%d values and %d segments too many, for values from %d to %d", -left, spare, s.first, s.end)
	}
	return nil
}

// HasTopic reports whether there is such a topic, and sweeps nothing.
func (s *StreamConstructor) HasTopic(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics.get(name) != nil
}

// Retained returns how many events a topic keeps, and sweeps nothing.
func (s *StreamConstructor) Retained(topic string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics.get(topic).log.kept()
}

// Retained returns how many events a connector keeps, and sweeps nothing.
func (c *Connector) Retained() int { return c.streamer().Retained(connectorTopic) }

// SharesNames reports whether the streamer keeps the very bytes of topic or name,
// rather than copies.
func (s *StreamConstructor) SharesNames(topic, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics.get(topic)
	c := t.cursors.get(name)
	shared := unsafe.StringData(t.name) == unsafe.StringData(topic) || unsafe.StringData(c.name) == unsafe.StringData(name)
	s.topics.entries.Range(func(key, _ any) bool {
		shared = shared || unsafe.StringData(key.(string)) == unsafe.StringData(topic)
		return true
	})
	t.cursors.entries.Range(func(key, _ any) bool {
		shared = shared || unsafe.StringData(key.(string)) == unsafe.StringData(name)
		return true
	})
	return shared
}
