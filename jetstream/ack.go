package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// The bodies of messages to an ack subject.
const (
	ackBody = "+ACK"
	nakBody = "-NAK"
)

// acks is how far the events of a cursor are acked.
type acks struct {
	upTo int64 // events up to this ID are acked

	// turn is held during an ack. The server answers only one of two requests to ack
	// the same event.
	turn chan struct{}

	records  *ackRecords   // nil without WithExactAcks, and for an ephemeral cursor
	recorded int64         // events up to this ID are recorded as acked
	sequence atomic.Uint64 // of the last record known; not guarded by the cursor's mu
}

// ack commits d, and returns when the server has confirmed it. Each attempt sends the ack
// to the consumer and, with WithExactAcks, records it meanwhile. After an attempt without
// an answer, the next asks where the consumer is before it sends the ack again.
func (c *cursor) ack(d *delivery) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.streamer.opts.ackTimeout)
	defer cancel()
	if err := c.commit(ctx, d); err != nil {
		return fmt.Errorf("memstreamer/jetstream: Ack of event %d: not confirmed: %w", d.id, err)
	}
	return nil
}

func (c *cursor) commit(ctx context.Context, d *delivery) error {
	select {
	case c.acks.turn <- struct{}{}:
		defer func() { <-c.acks.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	known := d.id <= c.acks.upTo && (c.acks.records == nil || d.id <= c.acks.recorded)
	ended := c.err
	c.mu.Unlock()
	if known {
		return nil
	}
	if errors.Is(ended, errCursorGone) {
		return ended
	}

	unanswered := false // an ack was sent, and not answered
	err := c.persist(ctx, "an ack", ackPatience, func(ctx context.Context) error {
		recorded := c.record(ctx, d)
		acked, err := c.acked(ctx, d, unanswered)
		if !acked && err == nil {
			unanswered, err = c.request(ctx, d)
		}
		return cmp.Or(err, <-recorded)
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ackedLocked(d.id)
	c.changedLocked()
	return nil
}

// record records the ack of d with WithExactAcks. The channel that it returns gets the
// error.
func (c *cursor) record(ctx context.Context, d *delivery) <-chan error {
	done := make(chan error, 1)
	if c.acks.records == nil {
		done <- nil
		return done
	}
	c.mu.Lock()
	id := max(c.acks.upTo, d.id)
	c.mu.Unlock()
	go func() {
		err := c.acks.records.write(ctx, c, id)
		if err == nil {
			c.mu.Lock()
			c.acks.recorded = max(c.acks.recorded, id)
			c.mu.Unlock()
		}
		done <- err
	}()
	return done
}

// acked reports whether the consumer has the ack of d already. It asks if one was not
// answered, and if the consumer may be another than the one that delivered d, which
// would take the ack for one of its own event.
//
// A server that was killed has forgotten its last deliveries, and answers no ack for
// them until it has made them again. So acked then waits for the next event, as a Recv
// does, which passes over those before d.
func (c *cursor) acked(ctx context.Context, d *delivery, unanswered bool) (bool, error) {
	c.mu.Lock()
	unsure := c.doubts.unsure
	c.mu.Unlock()
	if !unanswered && !unsure {
		return false, nil
	}
	info, err := c.where(ctx)
	if err != nil || !unanswered {
		return false, err
	}
	if int64(info.AckFloor.Stream) >= d.id {
		return true, nil
	}
	brief, cancel := context.WithTimeout(ctx, ackPatience)
	defer cancel()
	if _, err := c.next(brief); err != nil && brief.Err() == nil {
		return false, err
	}
	return false, nil
}

// request sends one ack and waits for the answer.
func (c *cursor) request(ctx context.Context, d *delivery) (unanswered bool, err error) {
	_, err = c.streamer.conn.RequestWithContext(ctx, d.msg.Reply, []byte(ackBody))
	if !errors.Is(err, nats.ErrNoResponders) {
		return err != nil, err
	}
	if _, gone := c.where(ctx); errors.Is(gone, errCursorGone) {
		err = gone
	}
	return false, err
}

// ackSubject returns the subject on which the server takes an ack of the event
// that it delivered last.
func (c *cursor) ackSubject(delivered natsjs.SequenceInfo) string {
	return fmt.Sprintf("$JS.ACK.%s.%s.1.%d.%d.0.0", c.streamer.opts.stream, c.name, delivered.Stream, delivered.Consumer)
}

// ackedLocked notes that events up to id are acked.
func (c *cursor) ackedLocked(id int64) {
	c.acks.upTo = max(c.acks.upTo, id)
	if c.held != nil && c.held.id <= c.acks.upTo {
		c.held = nil
	}
}

// position returns the ID of the last event that is known to be acked, or 0.
func (c *cursor) position() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acks.upTo
}

// passOver has next pass over the events up to id, which were acked on another
// consumer that is gone.
func (c *cursor) passOver(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id > c.acks.upTo {
		c.ackedLocked(id)
		c.doubts.raise(&c.doubts.unsure)
		c.changedLocked()
	}
}
