package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/memstreamer/memstreamer"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// messageHeader is the size of a message's header: its ID, of 22 bytes.
const messageHeader = len("NATS/1.0\r\nNats-Msg-Id: 1234567890123456789012\r\n\r\n")

// maxUnconfirmed is how many attempts of a Send may remain without an answer, of 1,
// 2 and 4 seconds, while the server answers other requests.
const maxUnconfirmed = 3

type sender struct {
	streamer *Streamer
	topic    string

	// ctx ends when the sender or its streamer is closed.
	ctx   context.Context
	close context.CancelFunc
}

// Send implements [memstreamer.EventSender]. It returns nil once the server has
// stored the event. While the server cannot be reached or does not answer, Send
// repeats the request until ctx is done, or for 90 seconds at most. The server
// recognizes a repeat and stores the event once. An event may be as large as the
// server's max_payload, 1 MB by default; what is not UTF-8 takes a third more. One that
// is larger is refused, with an error that wraps [nats.ErrMaxPayload].
func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.closed(); err != nil {
		return err
	}
	topic := headers[memstreamer.HeaderTopic]
	if topic == "" {
		topic = s.topic
	}
	body, err := encode(foreignID, statusType, headers)
	if err != nil {
		return fmt.Errorf("memstreamer/jetstream: Send: %w", err)
	}

	if size, limit := int64(len(body)+messageHeader), s.streamer.conn.MaxPayload(); size > limit {
		return fmt.Errorf("memstreamer/jetstream: Send: refused: the event takes %d bytes, and the server's max_payload is %d: %w", size, limit, nats.ErrMaxPayload)
	}

	joined, stop := join(ctx, s.ctx)
	defer stop()
	if err := s.streamer.publish(joined, subjectOf(s.streamer.opts.stream, topic), body); err != nil {
		return fmt.Errorf("memstreamer/jetstream: Send: not confirmed: %w", s.streamer.cause(ctx, s.closed(), err))
	}
	return nil
}

// Close implements [memstreamer.EventSender]. A Send under way returns
// [memstreamer.ErrClosed] and may have taken effect.
func (s *sender) Close() error {
	s.close()
	return nil
}

// closed returns an error that says what was closed, or nil.
func (s *sender) closed() error {
	if err := s.streamer.closed(); err != nil || s.ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w: the sender of topic %q", memstreamer.ErrClosed, s.topic)
}

// publish appends a message once, however often it has to be sent.
func (s *Streamer) publish(ctx context.Context, subject string, body []byte) error {
	// The server recognizes a repeated message ID within the duplicate window,
	// counted from the first attempt that arrives. The last one has to arrive
	// before its end.
	ctx, cancel := context.WithTimeout(ctx, duplicates(s.opts.maxAge)*3/4)
	defer cancel()
	msgID := natsjs.WithMsgID(nuid.Next())
	unconfirmed := 0
	id := stuckID{limit: stuckPatience}
	return s.persist(ctx, "a send", patience, func(attempt context.Context) error {
		_, err := s.js.PublishMsg(attempt, &nats.Msg{Subject: subject, Data: body}, msgID, natsjs.WithRetryAttempts(0))
		if since, stuck := id.answer(err); stuck {
			s.replaceLeader(attempt, since)
		}
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && s.answers(ctx) {
			if unconfirmed++; unconfirmed == maxUnconfirmed {
				return errNotStored
			}
		}
		if errors.Is(err, natsjs.ErrNoStreamResponse) {
			switch _, gone := s.js.Stream(attempt, s.opts.stream); {
			case errors.Is(gone, natsjs.ErrStreamNotFound):
				return fmt.Errorf("stream %q was deleted: %w", s.opts.stream, gone)
			case errors.Is(gone, nats.ErrNoResponders):
				return gone
			}
		}
		return err
	})
}

// answers reports whether the server answers for the stream.
func (s *Streamer) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := s.js.Stream(ctx, s.opts.stream)
	return err == nil
}
