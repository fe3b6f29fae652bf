package reference

import (
	"cmp"
	"context"
	"maps"
	"time"

	"github.com/memstreamer/memstreamer"
)

type sender struct {
	*Streamer
	topicName string
	closed    bool
}

// send is Send without its faults.
func (s *sender) send(ctx context.Context, e memstreamer.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := s.lock()
	defer s.unlock(now)
	if s.closed || s.Streamer.closed {
		return memstreamer.ErrClosed
	}
	if !s.appendWrongly(e, now) {
		s.append(e, now)
	}
	return nil
}

// target returns the topic that e goes to.
func (s *sender) target(e memstreamer.Event) string {
	return cmp.Or(e.Headers[memstreamer.HeaderTopic], s.topicName)
}

func (s *sender) append(e memstreamer.Event, now time.Time) {
	t := s.topic(s.target(e))
	s.lastID++
	e.ID, e.CreatedAt = s.lastID, now
	if !s.does("keeps the map that Send was given") {
		e.Headers = maps.Clone(e.Headers)
	}
	added := now
	if n := len(t.events); n > 0 && t.events[n-1].added.After(added) {
		added = t.events[n-1].added // age never goes back within a topic
	}
	t.events = append(t.events, entry{e, added})
	if s.does("takes its events with it") {
		s.notes.Store(e.ID, s)
	}
	if s.does("wakes the receivers of the sender's topic") {
		t = s.topic(s.topicName)
	}
	t.change()
}

// Close implements [memstreamer.EventSender].
func (s *sender) Close() error {
	now := s.lock()
	defer s.unlock(now)
	switch {
	case s.does("sends after Close"):
		return nil
	case s.closed && s.does("refuses a second Close of a sender"):
		return ErrFault
	case s.closed:
		return nil
	}
	s.closed = true
	s.topics[s.topicName].senders--
	if s.does("reorders two neighbours") {
		s.flush()
	}
	return nil
}
