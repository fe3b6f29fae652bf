package memstreamer

import "fmt"

// CheckInvariants checks what the streamer keeps about itself against what it is
// about.
func (s *StreamConstructor) CheckInvariants() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	topics, cursors, scheduled := 0, 0, map[*expiry]bool{}
	for t := range s.topics.all() {
		topics++
		if s.topics.get(t.name) != t {
			return fmt.Errorf("topic %q is not under its name", t.name)
		}
		if t.log.kept() == 0 && t.cursors.len == 0 && t.users == 0 {
			return fmt.Errorf("nothing keeps topic %q", t.name)
		}
		holders, cursorsOf := map[int64]uint32{}, map[*shard]map[int64]uint32{&t.all: {}}
		ofTopic := 0
		for c := range t.cursors.all() {
			ofTopic++
			if t.cursors.get(c.key()) != c || c.topic != t || c.forgotten {
				return fmt.Errorf("cursor %q is not under its key", c.name)
			}
			if c.ephemeral && c.receivers != 1 {
				return fmt.Errorf("ephemeral cursor %q has %d receivers", c.name, c.receivers)
			}
			if c.shard != t.shard(c.shard.index, c.shard.count) {
				return fmt.Errorf("cursor %q has a %s of another topic, or that is gone", c.name, shardText(c.shard.index, c.shard.count))
			}
			if c.next < c.shard.first() || c.next > c.shard.end() {
				return fmt.Errorf("cursor %q at %d is outside of its shard, %d to %d", c.name, c.next, c.shard.first(), c.shard.end())
			}
			if cursorsOf[c.shard] == nil {
				cursorsOf[c.shard] = map[int64]uint32{}
			}
			cursorsOf[c.shard][c.next]++
			if s.retention.period > 0 && c.receivers == 0 {
				scheduled[&c.expiry] = true
			}
		}
		if ofTopic != t.cursors.len {
			return fmt.Errorf("topic %q has %d cursors, and counts %d", t.name, ofTopic, t.cursors.len)
		}
		cursors += ofTopic
		shards := 1
		for count, of := range t.shards {
			shards += len(of)
			if len(of) == 0 {
				return fmt.Errorf("topic %q looks for shards of %d, and has none", t.name, count)
			}
		}
		if len(cursorsOf) != shards {
			return fmt.Errorf("topic %q has %d shards, and cursors of %d", t.name, shards, len(cursorsOf))
		}
		for s, cursors := range cursorsOf {
			if err := s.check(cursors, holders); err != nil {
				return fmt.Errorf("topic %q, %s: %w", t.name, shardText(s.index, s.count), err)
			}
		}
		if err := t.log.check(holders); err != nil {
			return fmt.Errorf("topic %q: %w", t.name, err)
		}
		if s.retention.period > 0 && t.log.kept() > 0 && t.log.oldest().holders == 0 {
			scheduled[&t.expiry] = true
			if t.expiry.since != t.log.oldest().added {
				return fmt.Errorf("topic %q is scheduled for %v, and its oldest event was added at %v", t.name, t.expiry.since, t.log.oldest().added)
			}
		}
	}
	if topics != s.topics.len || cursors != s.cursors {
		return fmt.Errorf("%d topics and %d cursors, counted as %d and %d", topics, cursors, s.topics.len, s.cursors)
	}
	h := &s.retention.heap
	if h.Len() != len(scheduled) {
		return fmt.Errorf("%d expiries are scheduled, and not %d", h.Len(), len(scheduled))
	}
	for i := range h.Len() {
		if !scheduled[h.at(i)] || h.at(i).place != i+1 {
			return fmt.Errorf("expiry %d of the heap is not at its place", i)
		}
		if h.Less(i, max(i-1, 0)/2) {
			return fmt.Errorf("expiry %d of the heap is older than its parent", i)
		}
	}
	return h.expiries.check()
}

// check checks the shard, which has that many cursors at each position. It adds them to
// the holders of each event of the log.
func (s *shard) check(cursors, holders map[int64]uint32) error {
	n := 0
	for position, at := range cursors {
		n += int(at)
		if position < s.end() {
			holders[s.inLog(position)] += at
		}
	}
	if n != s.cursors || s.caughtUp != cursors[s.end()] {
		return fmt.Errorf("%d cursors, %d of them past the newest event, counted as %d and %d", n, cursors[s.end()], s.cursors, s.caughtUp)
	}
	if s.count == 0 {
		return nil
	}
	position := s.first()
	for inLog := s.topic.log.slots.first; inLog < s.topic.log.end(); inLog++ {
		if s.topic.log.at(inLog).id%int64(s.count) == int64(s.index) {
			if position == s.end() || s.inLog(position) != inLog {
				return fmt.Errorf("the event at %d of the log is not at %d", inLog, position)
			}
			position++
		}
	}
	if position != s.end() {
		return fmt.Errorf("the shard ends at %d, and not %d", s.end(), position)
	}
	return s.positions.check()
}

// check checks the log, whose events are held by that many cursors.
func (l *log) check(holders map[int64]uint32) error {
	if err := l.slots.check(); err != nil {
		return err
	}
	for position := l.slots.first; position < l.end(); position++ {
		if l.at(position).holders != holders[position] {
			return fmt.Errorf("the event at %d has %d holders, and not %d", position, l.at(position).holders, holders[position])
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
