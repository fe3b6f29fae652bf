package sqlite

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/memstreamer/memstreamer"
)

// pendingAcks are those that memory has and the database has not: see [WithAckDelay].
type pendingAcks struct {
	byLife map[int64]*op // the newest of each consumer
	timer  *time.Timer   // runs while there are any
	closed bool          // an Ack that comes after Close is written before it returns
}

// ackLater moves the consumer of o in memory, and leaves it to the next transaction to
// write that. It reports false if o is to be written at once.
func (s *Streamer) ackLater(o *op) bool {
	s.mu.Lock()
	later := s.opts.ackDelay > 0 && !s.pending.closed
	if later {
		s.keepAcks([]*op{o})
	}
	s.mu.Unlock()
	if later {
		s.journal.Ack(o.topic, o.name, o.life, o.id)
	}
	return later
}

// keepAcks has the next transaction write acks, or one that begins after the delay. The
// caller must hold mu.
func (s *Streamer) keepAcks(acks []*op) {
	p := &s.pending
	if len(p.byLife) == 0 && len(acks) > 0 {
		p.timer.Reset(s.opts.ackDelay)
	}
	for _, o := range acks {
		if known := p.byLife[o.life]; known == nil || known.id < o.id {
			p.byLife[o.life] = o
		}
	}
}

// writeAcks writes the acks that are pending. Of a consumer that memory has forgotten
// there is nothing to write.
func (s *Streamer) writeAcks(tx *transaction) error {
	s.mu.Lock()
	acks := slices.Collect(maps.Values(s.pending.byLife))
	clear(s.pending.byLife)
	if len(acks) > 0 {
		s.pending.timer.Stop()
	}
	s.mu.Unlock()
	tx.acks = append(tx.acks, acks...)
	for _, o := range acks {
		c, _ := s.journal.Consumer(o.topic, o.name, memstreamer.ReceiverOptions{})
		if c.Life != o.life {
			continue
		}
		if err := s.writeAck(tx, o); err != nil {
			return err
		}
	}
	return nil
}

// flushAcks is the timer's. A panic of the driver has no caller to go to, and is an
// error like any other: the acks stay pending. Close writes what this does not.
func (s *Streamer) flushAcks() {
	ctx, cancel := context.WithTimeout(s.closing, s.opts.ackTimeout)
	defer cancel()
	var err error
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if err == nil || s.closing.Err() != nil {
			return
		}
		s.opts.logger.Warn("acks could not be written, and will be tried again", "error", err, "delay", s.opts.ackDelay)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.pending.byLife) > 0 {
			s.pending.timer.Reset(s.opts.ackDelay)
		}
	}()
	err = s.commit(ctx, &op{kind: opFlush})
}

// closeAcks writes the acks that are pending when the streamer is closed.
func (s *Streamer) closeAcks() error {
	s.turn <- struct{}{} // a transaction under way has some, and may fail
	<-s.turn
	s.mu.Lock()
	s.pending.closed = true
	s.pending.timer.Stop()
	none := len(s.pending.byLife) == 0
	s.mu.Unlock()
	if none {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.ackTimeout)
	defer cancel()
	return s.commit(ctx, &op{kind: opFlush})
}
