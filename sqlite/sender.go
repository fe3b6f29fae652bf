package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
)

type sender struct {
	streamer *Streamer
	topic    string
	inner    memstreamer.EventSender // which keeps the topic
	closed   atomic.Bool
}

// Send implements [memstreamer.EventSender].
func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return fmt.Errorf("%w: the sender of topic %q", memstreamer.ErrClosed, s.topic)
	}
	o, err := s.streamer.newSend(s.topic, foreignID, statusType, headers)
	if err != nil {
		return fmt.Errorf("memstreamer/sqlite: Send: %w", err)
	}
	return s.streamer.commitUntilClosed(ctx, o)
}

func (s *Streamer) newSend(topic, foreignID string, statusType int, headers map[memstreamer.Header]string) (*op, error) {
	// With its monotonic reading, by which memory counts ages: a wall clock that is
	// set back must not make an event old.
	createdAt := s.opts.clock.Now()
	if !time.Unix(0, createdAt.UnixNano()).Equal(createdAt) {
		return nil, fmt.Errorf("the clock's time, %v, is not between the years 1678 and 2262", createdAt)
	}
	stored, err := encodeHeaders(headers)
	if err != nil {
		return nil, err
	}
	topic = cmp.Or(headers[memstreamer.HeaderTopic], topic)
	return &op{kind: opSend, topic: topic, headers: stored, event: memstreamer.Event{
		ForeignID: foreignID, Type: statusType, Headers: headers, CreatedAt: createdAt,
	}}, nil
}

// Close implements [memstreamer.EventSender].
func (s *sender) Close() error {
	s.closed.Store(true)
	return s.inner.Close()
}
