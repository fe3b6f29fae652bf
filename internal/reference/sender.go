package reference

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/memstreamer/memstreamer"
)

type sender struct {
	*Streamer
	topicName string
	closed    bool
}

// Send implements [memstreamer.EventSender]. It is send, in another goroutine or later
// if a fault has it so.
func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	e := memstreamer.Event{ForeignID: foreignID, Type: statusType, Headers: headers}
	sent := make(chan error, 1)
	switch s.Does {
	case "appends a moment later":
		time.AfterFunc(50*time.Millisecond, func() { _ = s.send(s.Life, e) })
		return nil
	case Slow:
		time.AfterFunc(Latency, func() { sent <- s.send(ctx, e) })
	case "starts one for each Send": // a goroutine
		go func() { sent <- s.send(ctx, e) }()
	default:
		return s.send(ctx, e)
	}
	return <-sent
}

func (s *sender) send(ctx context.Context, e memstreamer.Event) error {
	err := ctx.Err()
	if s.does("has Send ignore the context") {
		err = nil
	}
	now := s.lock()
	defer s.unlock(now)
	if err == nil || s.does("has Send notice a Close first") {
		switch {
		case s.Streamer.closed:
			err = s.closedError("the streamer")
		case s.closed:
			err = s.closedError(fmt.Sprintf("the sender of topic %q", s.topicName))
		}
	}
	if !s.sendWrongly(e, now, err) && err == nil {
		s.append(e, now)
	}
	return err
}

// sendWrongly reports whether e is not to be appended, where a correct Send would
// return err.
func (s *sender) sendWrongly(e memstreamer.Event, now time.Time, err error) bool {
	switch s.Does {
	case "appends what it refuses":
		s.append(e, now)
		return true
	case "takes an ID for a Send that it refuses":
		if err != nil {
			s.lastID++
		}
	case "loses an event":
		return s.turn() == 13
	case "drops one event in a thousand":
		return err == nil && s.every(1000)
	case "swaps neighbours":
		return err == nil && s.swaps(e, now, func() bool { return s.turn() == 13 })
	case "reorders two neighbours":
		return err == nil && s.swaps(e, now, func() bool { return s.every(20) })
	case "takes an empty header for a topic":
		topic, there := e.Headers[memstreamer.HeaderTopic]
		return there && topic == ""
	case "ignores the header":
		e.Headers = maps.Clone(e.Headers)
		delete(e.Headers, memstreamer.HeaderTopic)
		s.append(e, now)
		return true
	case "sends to the header's topic and to the sender's":
		s.append(memstreamer.Event{ForeignID: e.ForeignID, Type: e.Type}, now)
	case "leaks":
		s.notes.Store(s.turn(), make([]byte, 1<<10))
	}
	return false
}

// held is an event that waits for the next one of its topic, which comes before it.
type held struct {
	by *sender
	memstreamer.Event
	now time.Time
}

func (h held) release() { h.by.append(h.Event, h.now) }

// swaps reports whether e is held, or was appended before the one that is.
func (s *sender) swaps(e memstreamer.Event, now time.Time, hold func() bool) bool {
	if before, waits := s.notes.LoadAndDelete(s.target(e)); waits {
		s.append(e, now)
		before.(held).release()
		return true
	}
	holding := hold()
	if holding {
		e.Headers = maps.Clone(e.Headers)
		s.notes.Store(s.target(e), held{s, e, now})
	}
	return holding
}

// target returns the topic that e goes to.
func (s *sender) target(e memstreamer.Event) string {
	return cmp.Or(e.Headers[memstreamer.HeaderTopic], s.topicName)
}

func (s *sender) append(e memstreamer.Event, now time.Time) {
	t := s.topic(s.target(e))
	s.lastID++
	if s.does(Slow) {
		s.lastID += 2
	}
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
	case s.does("reorders two neighbours"):
		s.notes.Range(func(topic, before any) bool {
			if h := before.(held); h.by == s {
				h.release()
				s.notes.Delete(topic)
			}
			return true
		})
	}
	s.closed = true
	s.topics[s.topicName].senders--
	return nil
}
