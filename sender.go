package memstreamer

import "context"

type sender struct {
	topic  *topic
	closed bool
}

// Send implements [EventSender].
func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[Header]string) error {
	return send(ctx, s, foreignID, statusType, headers)
}

// send is Send for any engine's type of header, so that As need not copy the map.
func send[H ~string](ctx context.Context, s *sender, foreignID string, statusType int, headers map[H]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t, streamer := s.topic, s.topic.streamer
	topic := string(headers[H(HeaderTopic)])
	createdAt := streamer.clock.Now()
	now := streamer.age(createdAt)
	var scratch [320]byte // enough for most events, which then need no allocation
	payload := packEvent(scratch[:0], foreignID, statusType, headers)

	streamer.mu.Lock()
	if s.closed || streamer.closed {
		streamer.mu.Unlock()
		return ErrClosed
	}
	if topic != "" && topic != t.name {
		t = streamer.topic(topic)
	}
	t.append(streamer.nextID(), createdAt, now, payload)
	streamer.unlock(now)
	// Broadcast after unlocking, so that a woken receiver does not block on mu.
	t.changed.Broadcast()
	return nil
}

// Close implements [EventSender].
func (s *sender) Close() error {
	streamer := s.topic.streamer
	now := streamer.lock()
	defer streamer.unlock(now)
	if !s.closed {
		s.closed = true
		s.topic.leave()
	}
	return nil
}
