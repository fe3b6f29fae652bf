package memstreamer

import (
	"context"
	"fmt"
)

type sender struct {
	topic  *topic
	closed bool
}

// Send implements [EventSender].
func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[Header]string) error {
	return send(ctx, s, foreignID, statusType, headers)
}

// send is Send for any engine's type of header, so that As need not copy the map. It
// packs the event on its stack, before it locks mu.
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
	if err := s.closedLocked(); err != nil {
		streamer.mu.Unlock()
		return err
	}
	if topic != "" && topic != t.name {
		t = streamer.topic(topic)
	}
	t.append(streamer.nextID(), createdAt, now, payload)
	streamer.sweepAndUnlock(now)
	// Broadcast after unlocking, so that a woken receiver does not block on mu.
	t.all.changed.Broadcast()
	return nil
}

// closedLocked returns an error if s or its streamer is closed. Callers must hold mu.
func (s *sender) closedLocked() error {
	if s.closed && s.topic.streamer.closed == nil {
		return fmt.Errorf("%w: the sender of topic %q", ErrClosed, s.topic.name)
	}
	return s.topic.streamer.closed
}

// Close implements [EventSender].
func (s *sender) Close() error {
	streamer := s.topic.streamer
	now := streamer.lock()
	defer streamer.sweepAndUnlock(now)
	if !s.closed {
		s.closed = true
		s.topic.leave()
	}
	return nil
}
