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

// op is what one call wants to have written: an event, an ack, or what memory has
// of a name.
type op struct {
	kind kind

	event   journal.Event // of a Send; the leader gives it its ID
	headers any           // as the database keeps them

	name   name           // of the others
	cursor journal.Cursor // of an Ack; of a name what was written, nil if none is there
	id     int64          // acked
	ack    memstreamer.Ack

	write statement // empty if there is nothing to write
	proof statement // is true if that was written, and nothing for the name after it

	done chan struct{} // closed when err is the outcome
	err  error
}

type kind int

const (
	opSend kind = iota
	opAck
	opName
)

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
func (s *Streamer) take() []*op {
	closed := s.closing.Err() != nil
	before := len(s.leader.batch)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.DeleteFunc(s.queue, func(o *op) bool {
		taken := len(s.leader.batch) < maxBatch && (o.kind == opAck || !closed)
		if taken {
			s.leader.batch = append(s.leader.batch, o)
		}
		return taken
	})
	return s.leader.batch[before:]
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
			if err := s.start(ctx, conn); err != nil {
				return err
			}
			s.writeAll(conn)
			return nil
		})
	}
	panicked = false
	return err
}

// start begins a transaction, once the outcome of the one before is known.
func (s *Streamer) start(ctx context.Context, conn *sql.Conn) error {
	if _, err := s.settle(conn); err != nil {
		return err
	}
	s.leader.nextID = s.leader.lastID + 1
	return s.begin(ctx, conn)
}

// writeAll ends the transaction that has begun on conn with the ops that wait in
// it, and tells their callers the outcome.
func (s *Streamer) writeAll(conn *sql.Conn) {
	forgotten, swept, err := s.executeWaiting(conn)
	if err == nil {
		if err = s.finish(conn, slices.Concat(s.leader.batch, forgotten)); err == nil {
			swept()
		}
		tell(s.leader.batch, err)
		return
	}
	rollback(conn)
	// One of them may be to blame: each gets a transaction of its own.
	for i := range s.leader.batch {
		op := s.leader.batch[i : i+1]
		tell(op, s.writeAlone(conn, op))
	}
}

// writeAlone writes ops, and nothing else, in a transaction that has yet to begin.
func (s *Streamer) writeAlone(conn *sql.Conn, ops []*op) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.ackTimeout)
	defer cancel()
	if err := s.start(ctx, conn); err != nil {
		return err
	}
	if err := s.executeAll(conn, ops); err != nil {
		rollback(conn)
		return err
	}
	return s.finish(conn, ops)
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

// executeWaiting writes the ops that wait, and sweeps.
func (s *Streamer) executeWaiting(conn *sql.Conn) (forgotten []*op, swept func(), err error) {
	// Calls that come meanwhile need not wait for the next transaction.
	for ops := s.take(); len(ops) > 0; ops = s.take() {
		if err := s.executeAll(conn, ops); err != nil {
			return nil, nil, err
		}
	}
	if s.closing.Err() != nil { // a streamer after this one may know more
		return nil, func() {}, nil
	}
	return s.sweep(conn, len(s.leader.batch))
}

// finish commits the transaction on conn, which has ops in it, and does in memory
// what was written.
func (s *Streamer) finish(conn *sql.Conn, ops []*op) error {
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
	return nil
}

// executeAll writes ops, in their order for each name.
func (s *Streamer) executeAll(conn *sql.Conn, ops []*op) error {
	var events, cursors rows
	for _, o := range ops {
		s.resolve(o)
		r := &cursors
		if o.kind == opSend {
			r = &events
		}
		if err := r.add(conn, o.write); err != nil {
			return err
		}
	}
	return errors.Join(events.flush(conn), cursors.flush(conn))
}

// rows gathers what follows each other and is alike for one statement: preparing
// one takes most of the time.
type rows struct {
	statement
	n int
}

func (r *rows) add(conn *sql.Conn, row statement) error {
	if row.query == "" {
		return nil
	}
	if row.query != r.query {
		if err := r.flush(conn); err != nil {
			return err
		}
		*r = rows{statement: statement{query: row.query}}
	}
	r.args = append(r.args, row.args...)
	r.n++
	return nil
}

func (r *rows) flush(conn *sql.Conn) error {
	if r.n == 0 {
		return nil
	}
	_, err := conn.ExecContext(context.Background(), repeat(r.query, r.n), r.args...)
	return err
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
	case opAck:
		if _, ok := o.cursor.Position(); ok {
			o.write = statement{s.queries.ack, []any{topic, name, o.id, o.id}}
			o.proof = statement{s.queries.hasCursor, []any{topic, name, o.id}}
		}
	case opName:
		if o.cursor = s.log.Cursor(o.name.topic, o.name.name); o.cursor != nil {
			if s.written(o.name, o.cursor) { // and acks may have been since
				return
			}
			if p, ok := o.cursor.Position(); ok {
				o.write = statement{s.queries.open, []any{topic, name, p.After, p.AckedID}}
				o.proof = statement{s.queries.hasCursor, []any{topic, name, p.After}}
				return
			}
			o.cursor = nil
		}
		o.write = statement{s.queries.forget, []any{topic, name}}
		o.proof = statement{s.queries.hasNoCursor, []any{topic, name}}
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
	s.log.Append(events)
	for _, o := range ops {
		switch o.kind {
		case opAck:
			_ = o.ack() // which cannot fail in memory
		case opName:
			s.mu.Lock()
			if o.cursor == nil {
				delete(s.names, o.name)
			} else {
				s.names[o.name] = o.cursor
			}
			s.mu.Unlock()
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
	// They were written together, or not at all. If they were, the last event is
	// there, whose ID is new, and all names are as they were written last.
	proofs := make(map[name]statement)
	for _, o := range ops {
		if o.proof.query != "" {
			proofs[o.name] = o.proof // that of an event under no name
		}
	}
	written = true
	for _, p := range proofs {
		if written && err == nil {
			err = conn.QueryRowContext(context.Background(), p.query, p.args...).Scan(&written)
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
