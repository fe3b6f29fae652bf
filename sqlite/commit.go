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

	done chan struct{} // closed when err is the outcome
	err  error
}

type kind int

const (
	opSend kind = iota
	opAck
	opName
)

// leader is what belongs to the holder of the turn.
type leader struct {
	file   fileLock
	lastID int64 // committed
	pass   pass

	// Of the transaction under way, or of the last one.

	nextID    int64
	positions map[name]int64 // written; -1 for a name that was forgotten
	batch     []*op          // that the leader has taken
	doubt     []*op          // that are in it, while its outcome is open
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
			s.lead(ctx, o)
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
	if errors.Is(err, context.Canceled) && ctx.Err() == nil && s.closing.Err() != nil {
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

// lead writes what waits, o among it, and gives the turn back. If it cannot begin
// before ctx is done, that is the outcome of o, and the others wait on.
func (s *Streamer) lead(ctx context.Context, o *op) {
	err := errPanicked
	defer func() {
		if err != nil && s.withdraw(o) {
			tell(err, o)
		}
		tell(errPanicked, s.leader.batch...) // unless they know their outcome
		<-s.turn
	}()
	s.leader.batch = nil
	select {
	case <-o.done: // by the leader before
		err = nil
		return
	default:
	}
	if s.closing.Err() != nil {
		// The acks of a streamer that was closed need the lock again.
		if err = s.leader.file.lock(); err != nil {
			return
		}
		defer func() { _ = s.leader.file.unlock() }()
	}
	err = s.withConn(ctx, func(conn *sql.Conn) error {
		if err := s.start(ctx, conn); err != nil {
			return err
		}
		s.writeAll(conn)
		return nil
	})
}

// start begins a transaction, once the outcome of the one before is known.
func (s *Streamer) start(ctx context.Context, conn *sql.Conn) error {
	if _, err := s.settle(conn); err != nil {
		return err
	}
	l := &s.leader
	l.nextID, l.positions, l.pass.swept = l.lastID+1, make(map[name]int64), l.pass.next
	return s.begin(ctx, conn)
}

// writeAll ends the transaction that has begun on conn with the ops that wait in
// it, and tells their callers the outcome.
func (s *Streamer) writeAll(conn *sql.Conn) {
	if s.executeWaiting(conn) == nil {
		tell(s.finish(conn, s.leader.batch), s.leader.batch...)
		return
	}
	rollback(conn)
	// One of them may be to blame: each gets a transaction of its own.
	for _, o := range s.leader.batch {
		tell(s.writeAlone(conn, o), o)
	}
}

// writeAlone writes o, and nothing else, in a transaction that has yet to begin.
func (s *Streamer) writeAlone(conn *sql.Conn, o *op) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.ackTimeout)
	defer cancel()
	if err := s.start(ctx, conn); err != nil {
		return err
	}
	ops := []*op{o}
	if err := s.executeAll(conn, ops); err != nil {
		rollback(conn)
		return err
	}
	return s.finish(conn, ops)
}

// tell ends the calls of ops that have not ended yet with err.
func tell(err error, ops ...*op) {
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
func (s *Streamer) executeWaiting(conn *sql.Conn) error {
	// Calls that come meanwhile need not wait for the next transaction.
	for ops := s.take(); len(ops) > 0; ops = s.take() {
		if err := s.executeAll(conn, ops); err != nil {
			return err
		}
	}
	if s.closing.Err() != nil { // a streamer after this one may know more
		return nil
	}
	return s.sweep(conn)
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
		query, args := s.resolve(o)
		r := &cursors
		if o.kind == opSend {
			r = &events
		}
		if err := r.add(conn, query, args); err != nil {
			return err
		}
	}
	return errors.Join(events.flush(conn), cursors.flush(conn))
}

// rows gathers what follows each other and is alike for one statement: compiling
// one takes most of the time.
type rows struct {
	query string
	args  []any
	n     int
}

// add adds a row, with an empty query none.
func (r *rows) add(conn *sql.Conn, query string, args []any) error {
	if query == "" {
		return nil
	}
	if query != r.query {
		if err := r.flush(conn); err != nil {
			return err
		}
		*r = rows{query: query}
	}
	r.args = append(r.args, args...)
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

// resolve returns the row to be written for o, on what memory has now, which is
// what was written before. The query is empty if there is nothing to write.
func (s *Streamer) resolve(o *op) (query string, args []any) {
	topic, name := text(o.name.topic), text(o.name.name)
	switch o.kind {
	case opSend:
		e := &o.event
		e.ID = s.leader.nextID
		s.leader.nextID++
		return s.queries.insert, []any{e.ID, text(e.Topic), text(e.ForeignID), e.Type, o.headers, e.CreatedAt.UnixNano()}
	case opAck:
		p, ok := o.cursor.Position()
		if !ok || p.After >= o.id {
			return "", nil
		}
		s.leader.positions[o.name] = o.id
		if s.closing.Err() != nil { // a streamer after this one may be ahead
			return s.queries.advance, []any{topic, name, o.id, o.id}
		}
		return s.queries.save, []any{topic, name, o.id, o.id}
	}
	if o.cursor = s.log.Cursor(o.name.topic, o.name.name); o.cursor != nil {
		if s.written(o.name, o.cursor) { // and acks may have been since
			return "", nil
		}
		if p, ok := o.cursor.Position(); ok {
			s.leader.positions[o.name] = p.After
			return s.queries.save, []any{topic, name, p.After, p.AckedID}
		}
		o.cursor = nil
	}
	s.leader.positions[o.name] = -1
	return s.queries.forget, []any{topic, name}
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
	s.leader.pass.next = s.leader.pass.swept
}

// settle finds out about the transaction whose outcome is unknown, if there is
// one, and does in memory what was written. It reports whether it was.
func (s *Streamer) settle(conn *sql.Conn) (written bool, err error) {
	l := &s.leader
	if l.doubt == nil {
		return false, nil
	}
	// They were written together, or not at all. If they were, the last event is
	// there, whose ID is new, and all names are as they were written last.
	written = true
	look := func(query string, args ...any) {
		if written && err == nil {
			err = conn.QueryRowContext(context.Background(), query, args...).Scan(&written)
		}
	}
	if l.nextID > l.lastID+1 {
		look(s.queries.hasEvent, l.nextID-1)
	}
	for n, position := range l.positions {
		look(s.queries.hasPosition, text(n.topic), text(n.name), position)
	}
	if err != nil {
		return false, fmt.Errorf("the outcome of a COMMIT is unknown, since it could not be looked up: %w", err)
	}
	if written {
		s.apply(l.doubt)
	}
	s.opts.logger.Warn("a COMMIT failed, and its outcome was looked up", "committed", written, "events and acks", len(l.doubt))
	l.doubt = nil
	return written, nil
}
