package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/journal"
)

// maxBatch is how many calls share a transaction at most, so that none is long.
const maxBatch = 512

// kind is what an op is of. In a transaction they take effect in this order: a
// name may be forgotten and opened again, and opened twice and acked.
type kind int

const (
	opForget kind = iota
	opOpen        // a new cursor
	opAck
	opSend
)

// op is what one call wants to have written.
type op struct {
	kind kind

	event   journal.Event // of a Send; the leader gives it its ID
	headers any           // as the database keeps them

	name   name           // of all others
	cursor journal.Cursor // of an Ack or a new cursor
	id     int64          // acked
	ack    memstreamer.Ack

	write statement // empty if there is nothing to write
	proof statement // is true if that was written

	done chan struct{} // closed when err is the outcome
	err  error
}

type statement struct {
	query string
	args  []any
}

// leader is what belongs to the holder of the turn.
type leader struct {
	file   fileLock
	lastID int64 // committed
	nextID int64 // in the transaction under way
	batch  []*op // that the leader has taken
	doubt  []*op // of a transaction whose outcome is open
	pass   pass
}

// commit has o written, in one transaction with whatever other calls want to have
// written by then. One of the calls leads: it writes for all, while those that
// come later wait for their outcome or for the next turn. An op is withdrawn when
// its ctx ends before a transaction with it has begun.
func (s *Streamer) commit(ctx context.Context, o *op) error {
	o.done = make(chan struct{})
	s.mu.Lock()
	s.queue = append(s.queue, o)
	s.mu.Unlock()
	for {
		select {
		case s.turn <- struct{}{}:
			if err := s.lead(ctx, o); err != nil && s.withdraw(o) {
				return err
			}
		case <-o.done:
			return o.err
		case <-ctx.Done():
			if s.withdraw(o) {
				return ctx.Err()
			}
			<-o.done
			return o.err
		}
	}
}

// commitUntilClosed is commit for all but acks. It fails with ErrClosed if the
// streamer is closed before a transaction with o has begun.
func (s *Streamer) commitUntilClosed(ctx context.Context, o *op) error {
	if s.closing.Err() != nil {
		return memstreamer.ErrClosed
	}
	joined, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	err := s.commit(joined, o)
	if err != nil && ctx.Err() == nil && s.closing.Err() != nil && errors.Is(err, context.Canceled) {
		return memstreamer.ErrClosed
	}
	return err
}

// withdraw reports whether o was still to be written, which it then is no more.
func (s *Streamer) withdraw(o *op) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.queue, o)
	if i < 0 {
		return false
	}
	s.queue = slices.Delete(s.queue, i, i+1)
	return true
}

// take moves ops from the queue to the transaction, those that have waited
// longest, and returns them. Of a streamer that was closed it takes acks alone: all
// others are being withdrawn.
func (s *Streamer) take(first kind) []*op {
	closed := s.closing.Err() != nil
	before := len(s.leader.batch)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.DeleteFunc(s.queue, func(o *op) bool {
		taken := len(s.leader.batch) < maxBatch && o.kind >= first && (o.kind == opAck || !closed)
		if taken {
			s.leader.batch = append(s.leader.batch, o)
		}
		return taken
	})
	ops := s.leader.batch[before:]
	// Within one kind they keep their order.
	slices.SortStableFunc(ops, func(a, b *op) int { return int(a.kind - b.kind) })
	return ops
}

// errPanicked is the outcome of what was being written when a driver panicked.
var errPanicked = errors.New("the driver panicked, and the outcome is unknown")

// lead writes what waits, o among it, and gives the turn back. It fails, and
// leaves o where it is, if it could not begin before ctx was done.
func (s *Streamer) lead(ctx context.Context, o *op) (err error) {
	defer func() { <-s.turn }()
	select {
	case <-o.done: // by the leader before
		return nil
	default:
	}
	panicked := true
	defer func() {
		if panicked {
			s.withdraw(o)
			tell(s.leader.batch, errPanicked)
		}
		if err != nil {
			err = fmt.Errorf("memstreamer/sqlite: %w", err)
		}
	}()
	s.leader.batch = nil
	if s.closing.Err() != nil {
		// The acks of a streamer that was closed need the lock again.
		err = s.leader.file.lock()
		defer func() { _ = s.leader.file.unlock() }()
	}
	if err == nil {
		err = s.withConn(ctx, func(conn *sql.Conn) error {
			if _, err := s.settle(conn); err != nil {
				return err
			}
			if err := s.begin(ctx, conn); err != nil {
				return err
			}
			s.writeAll(conn)
			return nil
		})
	}
	panicked = false
	return err
}

// writeAll ends the transaction that has begun on conn with the ops that wait in
// it, and tells their callers the outcome.
func (s *Streamer) writeAll(conn *sql.Conn) {
	err := s.write(conn, s.take(opForget), true)
	if _, ok := errors.AsType[statementError](err); ok {
		// One of them may be to blame: each gets a transaction of its own.
		for i := range s.leader.batch {
			op := s.leader.batch[i : i+1]
			tell(op, s.writeAlone(conn, op))
		}
	}
	tell(s.leader.batch, err)
}

// writeAlone writes ops, and nothing else, in a transaction that has yet to begin.
func (s *Streamer) writeAlone(conn *sql.Conn, ops []*op) error {
	if _, err := s.settle(conn); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.ackTimeout)
	defer cancel()
	if err := s.begin(ctx, conn); err != nil {
		return err
	}
	return s.write(conn, ops, false)
}

// tell ends the calls of ops that have not ended yet with err.
func tell(ops []*op, err error) {
	if err != nil {
		err = fmt.Errorf("memstreamer/sqlite: %w", err)
	}
	for _, o := range ops {
		select {
		case <-o.done:
		default:
			o.err = err
			close(o.done)
		}
	}
}

// statementError is an error before the COMMIT: nothing was written.
type statementError struct{ error }

func (e statementError) Unwrap() error { return e.error }

// write ends the transaction that has begun on conn with ops in it and, if it is
// shared, what else there is to do. It then does in memory what was written.
func (s *Streamer) write(conn *sql.Conn, ops []*op, shared bool) error {
	s.leader.nextID = s.leader.lastID + 1
	err := s.executeAll(conn, ops)
	committed := func() {}
	if shared {
		// Calls that have come meanwhile need not wait for the next transaction. A
		// name is not forgotten and opened twice in one.
		for err == nil {
			later := s.take(opAck)
			if len(later) == 0 {
				break
			}
			err = s.executeAll(conn, later)
		}
		ops = s.leader.batch
		if err == nil {
			committed, err = s.sweep(conn, len(ops))
		}
	}
	if err != nil {
		rollback(conn)
		return statementError{err}
	}
	s.leader.doubt = ops // also if the driver panics
	if err := s.end(conn); err != nil {
		rollback(conn)
		written, unknown := s.settle(conn)
		switch {
		case unknown != nil:
			return fmt.Errorf("%w; %w", err, unknown)
		case !written:
			return err
		}
		return nil
	}
	s.leader.doubt = nil
	s.apply(ops)
	committed()
	return nil
}

// executeAll writes ops, those that follow each other and are alike in one
// statement: preparing one takes most of the time.
func (s *Streamer) executeAll(conn *sql.Conn, ops []*op) error {
	var query string
	var args []any
	rows := 0
	flush := func() (err error) {
		if rows > 0 {
			_, err = conn.ExecContext(context.Background(), s.queries.rows(query, rows), args...)
		}
		args, rows = args[:0], 0
		return err
	}
	for _, o := range ops {
		s.resolve(o)
		if o.write.query == "" {
			continue
		}
		if o.write.query != query || o.kind == opForget {
			if err := flush(); err != nil {
				return err
			}
			query = o.write.query
		}
		args = append(args, o.write.args...)
		rows++
	}
	return flush()
}

// resolve decides what is to be written for o, on what memory has now, which is
// what was written before.
func (s *Streamer) resolve(o *op) {
	o.write, o.proof = statement{}, statement{}
	topic, name := text(o.name.topic), text(o.name.name)
	switch o.kind {
	case opSend:
		e := &o.event
		e.ID = s.leader.nextID
		s.leader.nextID++
		o.write = statement{s.queries.insert, []any{e.ID, text(e.Topic), text(e.ForeignID), e.Type, o.headers, e.CreatedAt.UnixNano()}}
		o.proof = statement{s.queries.hasEvent, []any{e.ID}}
	case opOpen:
		if p, ok := o.cursor.Position(); ok {
			o.write = statement{s.queries.open, []any{topic, name, p.After, p.AckedID}}
			o.proof = statement{s.queries.hasCursor, []any{topic, name, p.After}}
		}
	case opAck:
		if _, ok := o.cursor.Position(); ok {
			o.write = statement{s.queries.ack, []any{topic, name, o.id, o.id}}
			o.proof = statement{s.queries.hasCursor, []any{topic, name, o.id}}
		}
	case opForget:
		if !s.alive(o.name) {
			o.write = statement{s.queries.forget, []any{topic, name}}
			o.proof = statement{s.queries.hasNoCursor, []any{topic, name}}
		}
	}
}

// alive reports whether a name whose position was written is still in memory. It
// may have been forgotten and made again, and then has a position to be written.
func (s *Streamer) alive(n name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.names[n]
	if ok {
		_, ok = c.Position()
	}
	return ok
}

// drop takes a name out of names, unless it is alive.
func (s *Streamer) drop(n name) {
	if !s.alive(n) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.names, n)
	}
}

// apply does in memory what was written for ops.
func (s *Streamer) apply(ops []*op) {
	var events []journal.Event
	for _, o := range ops {
		if o.kind == opSend {
			events = append(events, o.event)
			s.leader.lastID = o.event.ID
		}
	}
	if events != nil {
		s.log.Append(events)
	}
	for _, o := range ops {
		switch o.kind {
		case opAck:
			_ = o.ack() // which cannot fail in memory
		case opOpen:
			s.mu.Lock()
			s.names[o.name] = o.cursor
			s.mu.Unlock()
		case opForget:
			s.drop(o.name)
		}
	}
}

// settle finds out about the transaction whose outcome is unknown, if there is
// one, and does in memory what was written. It reports whether it was.
func (s *Streamer) settle(conn *sql.Conn) (written bool, err error) {
	ops := s.leader.doubt
	if ops == nil {
		return false, nil
	}
	// They were written together, or not at all. An event tells, whose ID is new;
	// what the others wrote may have been there before.
	written = true
	for _, o := range slices.Backward(ops) {
		if o.proof.query != "" && written && err == nil {
			err = conn.QueryRowContext(context.Background(), o.proof.query, o.proof.args...).Scan(&written)
		}
		if o.kind == opSend {
			break
		}
	}
	if err != nil {
		return false, fmt.Errorf("the outcome of a COMMIT is unknown, since it could not be looked up: %w", err)
	}
	if written {
		s.apply(ops)
	}
	s.leader.doubt = nil
	s.opts.logger.Warn("a COMMIT failed, and its outcome was looked up", "committed", written, "events and acks", len(ops))
	return written, nil
}
