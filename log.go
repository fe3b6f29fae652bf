package memstreamer

import (
	"sort"
	"time"
)

// log holds the events of one topic in the order of their IDs. A position counts
// the events ever appended to it: the first is at 0. What grows with the events
// has no pointers, so that the garbage collector need not look at each.
type log struct {
	slots    segments[slot]
	payloads arena
	zones    segments[zone]
	caughtUp uint32 // cursors past the newest event
}

// slot is one event.
type slot struct {
	id      int64
	seconds int64         // of createdAt, in Unix time
	added   time.Duration // since the streamer's epoch
	payload span
	nanos   uint32 // of createdAt
	holders uint32 // cursors at this event, which is kept for them
}

// zone is the location of createdAt, from a position on to that of the next zone.
type zone struct {
	from     int64
	location *time.Location
}

// entry is an event on its way out of the log, still packed.
type entry struct {
	id        int64
	position  int64
	createdAt time.Time
	payload   []byte // read only
}

func (l *log) append(id int64, createdAt time.Time, added time.Duration, payload []byte) {
	if location := createdAt.Location(); l.zones.len() == 0 || l.zones.at(l.zones.end-1).location != location {
		l.zones.push(zone{l.slots.end, location})
	}
	if l.kept() > 0 {
		// Age never goes back, even if the clock does: search needs it so.
		added = max(added, l.at(l.slots.end-1).added)
	}
	l.slots.push(slot{
		id:      id,
		seconds: createdAt.Unix(),
		nanos:   uint32(createdAt.Nanosecond()),
		added:   added,
		payload: l.payloads.put(payload),
		holders: l.caughtUp,
	})
	l.caughtUp = 0
}

func (l *log) kept() int               { return l.slots.len() }
func (l *log) oldest() *slot           { return l.at(l.slots.first) }
func (l *log) at(position int64) *slot { return l.slots.at(position) }
func (l *log) hold(position int64)     { *l.holders(position)++ }
func (l *log) release(position int64)  { *l.holders(position)-- }
func (l *log) holders(position int64) *uint32 {
	if position == l.slots.end {
		return &l.caughtUp
	}
	return &l.at(position).holders
}

// read returns an event that is kept. Its payload does not change, even after mu
// is released.
func (l *log) read(position int64) entry {
	s := l.at(position)
	return entry{id: s.id, position: position, createdAt: l.createdAt(position), payload: l.payloads.get(s.payload)}
}

func (l *log) createdAt(position int64) time.Time {
	s := l.at(position)
	first := l.zones.first
	next := first + int64(sort.Search(l.zones.len(), func(i int) bool { return l.zones.at(first+int64(i)).from > position }))
	return time.Unix(s.seconds, int64(s.nanos)).In(l.zones.at(next - 1).location)
}

// search returns the position of the oldest event for which found is true, if it
// is true for all newer ones too, and the position of the next event if there is
// none.
func (l *log) search(found func(*slot) bool) int64 {
	first := l.slots.first
	return first + int64(sort.Search(l.kept(), func(i int) bool { return found(l.at(first + int64(i))) }))
}

// dropOldest forgets the oldest event.
func (l *log) dropOldest() {
	l.slots.dropFirst()
	if l.kept() == 0 {
		l.payloads, l.zones = arena{}, segments[zone]{}
		return
	}
	l.payloads.dropBefore(l.oldest().payload)
	if l.zones.len() > 1 && l.zones.at(l.zones.first+1).from <= l.slots.first {
		l.zones.dropFirst()
	}
}
