package reference

import (
	"context"
	"maps"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Send implements [memstreamer.EventSender]: it is send, and the faults of that.
func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	e := memstreamer.Event{ForeignID: foreignID, Type: statusType, Headers: headers}
	switch s.Does {
	case "loses an event":
		if s.turn() == 13 {
			return nil
		}
	case "drops one event in a thousand":
		if s.refusal(ctx) == nil && s.every(1000) {
			return nil
		}
	case "appends a moment later":
		time.AfterFunc(50*time.Millisecond, func() { _ = s.send(s.Life, e) })
		return nil
	case "has Send notice a Close first":
		if s.refusal(context.Background()) != nil {
			return memstreamer.ErrClosed
		}
	case "has Send ignore the context":
		ctx = context.Background()
	case "appends what it refuses":
		if err := s.refusal(ctx); err != nil {
			now := s.lock()
			defer s.unlock(now)
			s.append(e, now)
			return err
		}
	case "takes an ID for a Send that it refuses":
		if s.refusal(ctx) != nil {
			s.mu.Lock()
			s.lastID++
			s.mu.Unlock()
		}
	case "ignores the header":
		e.Headers = maps.Clone(e.Headers)
		delete(e.Headers, memstreamer.HeaderTopic)
	case "takes an empty header for a topic":
		if topic, there := e.Headers[memstreamer.HeaderTopic]; there && topic == "" {
			return nil
		}
	case "starts one for each Send":
		sent := make(chan error)
		go func() { sent <- s.send(ctx, e) }()
		return <-sent
	case Slow:
		sent := make(chan error)
		time.AfterFunc(Latency, func() { sent <- s.send(ctx, e) })
		return <-sent
	case "leaks":
		s.notes.Store(s.turn(), make([]byte, 1<<10))
	}
	return s.send(ctx, e)
}

// refusal returns why a Send of ctx would fail.
func (s *sender) refusal(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.Streamer.closed {
		return memstreamer.ErrClosed
	}
	return nil
}

// held is an event that waits for the next one of its topic, which comes before it.
type held struct {
	by *sender
	memstreamer.Event
	now time.Time
}

func (h held) release() { h.by.append(h.Event, h.now) }

// appendWrongly reports whether it has done what append would.
func (s *sender) appendWrongly(e memstreamer.Event, now time.Time) bool {
	switch s.Does {
	case "sends to the header's topic and to the sender's":
		s.append(memstreamer.Event{ForeignID: e.ForeignID, Type: e.Type}, now)
	case "swaps neighbours", "reorders two neighbours":
		topic := s.target(e)
		if before, waits := s.notes.LoadAndDelete(topic); waits {
			s.append(e, now)
			before.(held).release()
			return true
		}
		if s.does("swaps neighbours") && s.turn() == 13 || s.does("reorders two neighbours") && s.every(20) {
			e.Headers = maps.Clone(e.Headers)
			s.notes.Store(topic, held{s, e, now})
			return true
		}
	}
	return false
}

// flush appends what s holds back, before it is closed.
func (s *sender) flush() {
	s.notes.Range(func(topic, before any) bool {
		if h := before.(held); h.by == s {
			h.release()
			s.notes.Delete(topic)
		}
		return true
	})
}
