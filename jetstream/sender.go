package jetstream

import (
	"cmp"
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
	owner
}

// Send implements [memstreamer.EventSender]. It returns nil once the server has
// stored the event. While the server cannot be reached or does not answer, Send
// repeats the request until ctx is done, or for at most 90 seconds. The server
// recognizes a repeat and stores the event once. A larger event than the server's
// max_payload, 1 MB by default, is refused with an error that wraps
// [nats.ErrMaxPayload]; text that is not UTF-8 takes a third more.
func (s *sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	return s.call(ctx, "Send", func(ctx context.Context) error {
		body, err := encode(foreignID, statusType, headers)
		if err != nil {
			return err
		}
		if size, limit := int64(len(body)+messageHeader), s.conn.MaxPayload(); size > limit {
			return fmt.Errorf("refused: the event takes %d bytes, and the server's max_payload is %d: %w", size, limit, nats.ErrMaxPayload)
		}
		topic := cmp.Or(headers[memstreamer.HeaderTopic], s.topic)
		if err := s.streamer.publish(ctx, subjectOf(s.streamer.opts.stream, topic), body); err != nil {
			return fmt.Errorf("not confirmed: %w", err)
		}
		return nil
	})
}

// Close implements [memstreamer.EventSender]. A Send under way returns
// [memstreamer.ErrClosed] and may have taken effect.
func (s *sender) Close() error {
	s.close()
	return nil
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
