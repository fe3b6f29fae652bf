package memstreamer

import "time"

// log holds the events of one topic in the order of their IDs. A position counts
// the events appended before: the first event is at 0. What grows with the events
// has no pointers, so that the garbage collector need not look at each.
type log struct {
	slots    segments[slot]
	payloads arena
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

// entry is an event on its way out of the log, still packed.
type entry struct {
	id        int64
	position  int64 // in the shard of its cursor
	createdAt time.Time
	payload   []byte // read only
}

func (l *log) append(id int64, createdAt time.Time, added time.Duration, payload []byte, holders uint32) {
	if l.kept() > 0 {
		// Age never goes back, even if the clock does: search needs it so.
		added = max(added, l.newest().added)
	}
	l.slots.push(slot{
		id:      id,
		seconds: createdAt.Unix(),
		nanos:   uint32(createdAt.Nanosecond()),
		added:   added,
		payload: l.payloads.put(payload),
		holders: holders,
	})
}

func (l *log) kept() int { return l.slots.len() }

// end returns the position of the next event.
func (l *log) end() int64 { return l.slots.end }

// appended returns how many events were ever appended.
func (l *log) appended() int64 { return l.end() }

func (l *log) oldest() *slot           { return l.at(l.slots.first) }
func (l *log) newest() *slot           { return l.at(l.end() - 1) }
func (l *log) at(position int64) *slot { return l.slots.at(position) }

func (s *slot) createdAt() time.Time { return time.Unix(s.seconds, int64(s.nanos)) }

// dropOldest forgets the oldest event.
func (l *log) dropOldest() {
	l.slots.dropFirst()
	if l.kept() == 0 {
		l.payloads = arena{}
		return
	}
	l.payloads.dropBefore(l.oldest().payload)
}
