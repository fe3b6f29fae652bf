package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/journal"
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
		return memstreamer.ErrClosed
	}
	// With its monotonic reading, by which memory counts ages: a wall clock that is
	// set back must not make an event old.
	createdAt := s.streamer.opts.clock.Now()
	if !time.Unix(0, createdAt.UnixNano()).Equal(createdAt) {
		return fmt.Errorf("memstreamer/sqlite: Send: the clock's time, %v, is not between the years 1678 and 2262", createdAt)
	}
	stored, list, err := encodeHeaders(headers)
	if err != nil {
		return fmt.Errorf("memstreamer/sqlite: Send: %w", err)
	}
	topic := headers[memstreamer.HeaderTopic]
	if topic == "" {
		topic = s.topic
	}
	return s.streamer.commitUntilClosed(ctx, &op{kind: opSend, headers: stored, event: journal.Event{
		Topic: topic, CreatedAt: createdAt, ForeignID: foreignID, Type: statusType, Headers: list,
	}})
}

// Close implements [memstreamer.EventSender].
func (s *sender) Close() error {
	s.closed.Store(true)
	return s.inner.Close()
}
