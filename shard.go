package memstreamer

import (
	"sort"
	"sync"
	"time"
)

// shard is the events of a topic whose IDs, divided by count, leave index. It is what a
// cursor reads: a topic has one of count 0, which is all of its log, and one for each
// [Shard] that a cursor of it has. A position counts the events of the shard before.
type shard struct {
	topic        *topic
	index, count int

	// changed is what receivers park on. It is broadcast after an append to the shard,
	// and whenever a parked receiver may have to return for another reason.
	changed sync.Cond

	positions segments[int64] // of the events in the log; unused where count is 0
	caughtUp  uint32          // cursors past the newest event
	cursors   int             // it is one of topic.shards while there are any
}

func newShard(t *topic, index, count int) *shard {
	s := &shard{topic: t, index: index, count: count}
	s.changed.L = &t.streamer.mu
	return s
}

// enter counts a new cursor. leave is for one that is forgotten.
func (s *shard) enter() {
	if s.cursors == 0 && s.count > 0 {
		t := s.topic
		if t.shards == nil {
			t.shards = make(map[int]map[int]*shard)
		}
		if t.shards[s.count] == nil {
			t.shards[s.count] = make(map[int]*shard)
		}
		t.shards[s.count][s.index] = s
	}
	s.cursors++
}

func (s *shard) leave() {
	s.cursors--
	if shards := s.topic.shards; s.cursors == 0 && s.count > 0 {
		delete(shards[s.count], s.index)
		if len(shards[s.count]) == 0 {
			delete(shards, s.count)
		}
	}
}

// first returns the position of the oldest event kept, and end that of the next event.
func (s *shard) first() int64 {
	if s.count == 0 {
		return s.topic.log.slots.first
	}
	return s.positions.first
}

func (s *shard) end() int64 {
	if s.count == 0 {
		return s.topic.log.end()
	}
	return s.positions.end
}

// inLog returns the position in the log of an event that is kept.
func (s *shard) inLog(position int64) int64 {
	if s.count == 0 {
		return position
	}
	return *s.positions.at(position)
}

func (s *shard) at(position int64) *slot { return s.topic.log.at(s.inLog(position)) }

// read returns an event that is kept. Its payload does not change, even after mu
// is released.
func (s *shard) read(position int64) entry {
	e := s.at(position)
	return entry{id: e.id, position: position, createdAt: e.createdAt(), payload: s.topic.log.payloads.get(e.payload)}
}

func (s *shard) hold(position int64)    { *s.holders(position)++ }
func (s *shard) release(position int64) { *s.holders(position)-- }
func (s *shard) holders(position int64) *uint32 {
	if position == s.end() {
		return &s.caughtUp
	}
	return &s.at(position).holders
}

// start returns the position at which a new cursor starts.
func (s *shard) start(o ReceiverOptions, now time.Duration) int64 {
	if o.StreamFromLatest {
		return s.end()
	}
	// An event past the period is there for the consumers that have not acked it, and
	// not for new ones: if these came and went, they would hold it forever.
	return s.search(func(e *slot) bool {
		return !s.topic.streamer.retention.past(e.added, now) && (o.StreamFromLast == 0 || now-e.added <= o.StreamFromLast)
	})
}

// before returns an ID that is less than that of the event at position, whether that
// is there yet or not, and not less than that of the event before it.
func (s *shard) before(position int64) int64 {
	if position == s.end() {
		return s.topic.streamer.lastID
	}
	return s.at(position).id - 1
}

// after returns the position of the oldest event of a greater ID than id.
func (s *shard) after(id int64) int64 {
	return s.search(func(e *slot) bool { return e.id > id })
}

// search returns the position of the oldest event for which found is true, if it
// is true for all newer ones too, and the position of the next event if there is
// none.
func (s *shard) search(found func(*slot) bool) int64 {
	first := s.first()
	return first + int64(sort.Search(int(s.end()-first), func(i int) bool { return found(s.at(first + int64(i))) }))
}

// fill adds the events that the log keeps. Between segments of them it unlocks mu, which
// it holds for a small part of the time: a user keeps the topic meanwhile.
func (s *shard) fill() {
	l, mu := &s.topic.log, &s.topic.streamer.mu
	var ids [segmentSize]int64
	for next := l.slots.first; next < l.end(); next = max(next, l.slots.first) {
		n := int(min(l.end()-next, segmentSize))
		for i := range n {
			ids[i] = l.at(next + int64(i)).id
		}
		mu.Unlock()
		for _, id := range ids[:n] {
			if id%int64(s.count) == int64(s.index) {
				s.positions.push(next)
			}
			next++
		}
		mu.Lock()
		for s.positions.len() > 0 && *s.positions.at(s.positions.first) < l.slots.first {
			s.positions.dropFirst()
		}
	}
}
