package memstreamer

import (
	"iter"

	"github.com/memstreamer/memstreamer/internal/journal"
)

func init() {
	journal.Of = func(streamer any) journal.Log { return journaled{streamer.(*StreamConstructor)} }
}

// journaled is a streamer that follows a journal, which gives the IDs.
type journaled struct{ *StreamConstructor }

// Load implements [journal.Log].
func (j journaled) Load(events iter.Seq[journal.Event], cursors []journal.Saved, lastID int64) {
	var payload []byte
	for e := range events {
		payload = packJournaled(payload[:0], e)
		j.mu.Lock()
		j.append(e, payload)
		j.mu.Unlock()
	}
	now := j.lock()
	defer j.sweepAndUnlock(now)
	j.lastID = max(j.lastID, lastID)
	for _, saved := range cursors {
		t := j.topic(saved.Topic)
		c := t.newCursor(saved.Name, t.log.search(func(s *slot) bool { return s.id > saved.After }), false)
		c.ackedID = saved.AckedID
		j.retention.schedule(&c.expiry, now)
	}
}

// Append implements [journal.Log].
func (j journaled) Append(events []journal.Event) {
	var payload []byte
	changed := make(map[*topic]bool, 1)
	for _, e := range events {
		payload = packJournaled(payload[:0], e)
		now := j.lock()
		changed[j.append(e, payload)] = true
		j.sweepAndUnlock(now)
	}
	for t := range changed {
		t.changed.Broadcast()
	}
}

// append needs mu held.
func (j journaled) append(e journal.Event, payload []byte) *topic {
	t := j.topic(e.Topic)
	j.lastID = e.ID
	t.append(e.ID, e.CreatedAt, j.age(e.CreatedAt), payload)
	return t
}

// packJournaled packs as packEvent does.
func packJournaled(b []byte, e journal.Event) []byte {
	b = appendPrefix(b, e.ForeignID, e.Type)
	b = appendHeaderCount(b, len(e.Headers), e.Headers == nil)
	for _, h := range e.Headers {
		b = appendHeader(b, h.Name, h.Value)
	}
	return b
}

// Cursor implements [journal.Log].
func (j journaled) Cursor(topic, name string) journal.Cursor {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c := j.consumer(topic, name); c != nil {
		return journaledCursor{c}
	}
	return nil
}

// journaledCursors of the same cursor are equal (==).
type journaledCursor struct{ *cursor }

// Position implements [journal.Cursor].
func (c journaledCursor) Position() (journal.Position, bool) {
	s := c.topic.streamer
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.forgotten {
		return journal.Position{}, false
	}
	after := s.lastID
	if c.lag() > 0 {
		after = c.topic.log.at(c.next).id - 1
	}
	return journal.Position{After: after, AckedID: c.ackedID}, true
}
