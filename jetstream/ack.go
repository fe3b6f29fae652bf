package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// What an ack subject takes.
const (
	ackBody = "+ACK"
	nakBody = "-NAK"
)

// ack commits d and waits for the server's confirmation.
func (c *cursor) ack(d *delivery) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.streamer.opts.ackTimeout)
	defer cancel()
	err := c.confirm(ctx, d)
	if err != nil {
		return fmt.Errorf("memstreamer/jetstream: Ack of event %d: not confirmed: %w", d.id, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ackedLocked(d.id)
	c.changedLocked()
	return nil
}

// confirm sends the ack until the server answers. It does not answer while the
// consumer has no leader, nor for an event that it does not know to be
// delivered.
func (c *cursor) confirm(ctx context.Context, d *delivery) error {
	select {
	case c.acking <- struct{}{}:
		defer func() { <-c.acking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	acked, ended := d.id <= c.acked && (c.acks == nil || d.id <= c.written), c.err
	c.mu.Unlock()
	if acked {
		return nil
	}
	if errors.Is(ended, errCursorGone) {
		return ended
	}
	unanswered := false // an ack was sent, and not answered
	return c.persist(ctx, "an ack", ackPatience, func(ctx context.Context) (err error) {
		if err := c.same(ctx); err != nil {
			return err
		}
		written := c.writeDown(ctx, d)
		acked := false
		if unanswered {
			acked, err = c.catchUp(ctx, d)
		}
		if !acked && err == nil {
			unanswered, err = c.request(ctx, d)
		}
		return cmp.Or(err, <-written)
	})
}

// same asks whether the consumer is still the one that delivered the event, if there
// is reason to doubt it. Another of its name would take the ack for one of its own
// event.
func (c *cursor) same(ctx context.Context) error {
	c.mu.Lock()
	unsure := c.unsure
	c.mu.Unlock()
	if !unsure {
		return nil
	}
	_, err := c.where(ctx)
	return err
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

// writeDown writes the ack of d down, if that is asked for. The channel that it
// returns has the outcome.
func (c *cursor) writeDown(ctx context.Context, d *delivery) <-chan error {
	done := make(chan error, 1)
	if c.acks == nil {
		done <- nil
		return done
	}
	c.mu.Lock()
	id := max(c.acked, d.id)
	c.mu.Unlock()
	go func() {
		err := c.acks.write(ctx, c, id)
		if err == nil {
			c.mu.Lock()
			c.written = max(c.written, id)
			c.mu.Unlock()
		}
		done <- err
	}()
	return done
}

// catchUp reports whether d is acked, after an ack without an answer. A server that
// was killed has forgotten its last deliveries, and answers no ack for them until it
// has made them again: catchUp takes these up to d, and acks those before d again.
func (c *cursor) catchUp(ctx context.Context, d *delivery) (acked bool, err error) {
	c.mu.Lock()
	c.catchUpTo = d.id
	c.mu.Unlock()
	defer c.caughtUp()
	for {
		info, err := c.where(ctx)
		switch {
		case err != nil:
			return false, err
		case int64(info.AckFloor.Stream) >= d.id:
			return true, nil
		case int64(info.Delivered.Stream) >= d.id && info.NumAckPending > 0:
			// The next ack is answered. Where nothing is out, Delivered may tell of
			// a delivery that the server has forgotten otherwise.
			return false, nil
		}
		if info.NumAckPending > 0 {
			// It comes before d, and was acked before d was delivered.
			if err := c.streamer.tell(c.ackSubject(info.Delivered), ackBody); err != nil {
				return false, err
			}
		}
		again, err := c.nextAgain(ctx)
		if err != nil {
			return false, err
		}
		if again == nil {
			return false, nil
		}
		if err := c.streamer.tell(again.msg.Reply, ackBody); err != nil {
			return false, err
		}
	}
}

// nextAgain returns the next event that the server delivers again, or nil if
// there is none for a while.
func (c *cursor) nextAgain(ctx context.Context) (*delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, ackPatience)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	for pulled := false; ctx.Err() == nil; {
		switch {
		case c.err != nil:
			return nil, c.err
		case c.again != nil:
			again := c.again
			c.again = nil
			return again, nil
		case c.asking || c.pulling:
			c.waitUnlocking(ctx)
		case pulled:
			return nil, nil // it brought another event
		default:
			pulled = true
			if err := c.askUnlocking(ctx, c.pull); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// caughtUp ends what catchUp began. An event that came too late for it goes back.
func (c *cursor) caughtUp() {
	c.mu.Lock()
	late := c.again
	c.catchUpTo, c.again = 0, nil
	unwanted := c.unwantedLocked()
	c.mu.Unlock()
	c.streamer.giveBack(late)
	c.streamer.giveBack(unwanted)
}
