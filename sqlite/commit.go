package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/memstreamer/memstreamer"
)

const (
	// maxBatch is how many calls share a transaction at most, so that none is long.
	maxBatch = 512
	// maxTaking is how long a transaction takes calls, so that no caller waits for the slow
	// functions of many others.
	maxTaking = 10 * time.Millisecond
	// sweepLimit is how many rows of what memory has dropped a transaction deletes of
	// each table: or twice as many as it writes, if that is more, so that deleting
	// keeps up.
	sweepLimit = 256
	// maxYields is how many transactions after one that was shared let others run before
	// they end. A caller that has had no company for longer never yields.
	maxYields = 16
)

// leader is what belongs to the holder of the turn.
type leader struct {
	file    fileLock
	lastID  int64        // committed
	yields  int          // how many transactions yield from now on, unless one is shared
	dropped dropped      // by memory, and perhaps still in the database
	doubt   *transaction // whose outcome is unknown, or nil
}

type dropped struct {
	events    []int64
	consumers []memstreamer.Consumer
}

// commit has o written, in one transaction with whatever other calls want to have
// written by then. One of the calls leads: it writes for all, while those that
// come later wait for their outcome or for the next turn. An op is withdrawn when
// its ctx ends while no transaction with it is under way.
func (s *Streamer) commit(ctx context.Context, o *op) error {
	if s.nested() {
		return errNested
	}
	o.done = make(chan struct{})
	s.mu.Lock()
	s.queue = append(s.queue, o)
	s.mu.Unlock()
	for ended := ctx.Done(); ; {
		select {
		case s.turn <- struct{}{}:
			if err := s.lead(ctx, o); err != nil {
				return err
			}
		case tx := <-o.begun:
			tx.call(ctx, o.f)
		case <-o.done:
			return o.err
		case <-ended:
			if s.withdraw(o) {
				return ctx.Err()
			}
			ended = nil // its transaction is under way; lead sees to it if that fails
		}
	}
}

// commitUntilClosed is commit for all but acks. It fails with ErrClosed if the
// streamer is closed before a transaction with o has begun.
func (s *Streamer) commitUntilClosed(ctx context.Context, o *op) error {
	if s.closing.Err() != nil {
		return errClosed
	}
	joined, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	err := s.commit(joined, o)
	if errors.Is(err, context.Canceled) && s.closing.Err() != nil && !o.called() {
		return cmp.Or(ctx.Err(), errClosed)
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

// take moves ops from the queue to tx, those that have waited longest, up to the first
// that has a function, and returns them. An op that is to be alone waits for its own call
// to lead. Of a streamer that was closed it takes acks alone: all others are being
// withdrawn.
func (s *Streamer) take(tx *transaction) []*op {
	full := tx.alone() || time.Since(tx.began) > maxTaking
	closed := s.closing.Err() != nil
	before := len(tx.ops)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.DeleteFunc(s.queue, func(o *op) bool {
		if full || len(tx.ops) == maxBatch || o.alone || closed && o.kind != opAck {
			return false
		}
		full = o.kind == opInTx
		tx.ops = append(tx.ops, o)
		return true
	})
	return tx.ops[before:]
}

// putBack returns the ops of tx, which failed and was rolled back, to the queue. One
// of them may be to blame: each gets a transaction of its own.
func (s *Streamer) putBack(tx *transaction) {
	tx.ops = slices.DeleteFunc(tx.ops, (*op).told)
	for _, o := range tx.ops {
		o.alone, o.tx = true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(tx.ops, s.queue...)
	tx.ops = nil
}

// errPanicked is the outcome of what was being written when a driver or a clock
// panicked.
var errPanicked = errors.New("the call that was writing panicked, and the outcome is unknown")

// lead writes what waits in one transaction, and gives the turn back. o is the op of
// the call that leads, and is in that transaction. If none begins before ctx is done, o
// is withdrawn, lead returns why, and the others wait on.
func (s *Streamer) lead(ctx context.Context, o *op) (err error) {
	tx := newTransaction()
	err = errPanicked
	defer func() {
		if err != nil {
			s.withdraw(o)
		}
		if s.leader.doubt == tx {
			tx.copyHeaders()
		}
		s.mu.Lock()
		s.keepAcks(tx.acks) // to write one again changes nothing
		s.mu.Unlock()
		tell(tx.err, tx.ops)
		<-s.turn
	}()
	if o.told() { // by the leader before
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closing.Err() != nil {
		if o.kind != opAck && o.kind != opFlush {
			return errClosed
		}
		// The acks of a streamer that was closed need the lock again.
		if err := s.leader.file.acquire(); err != nil {
			return fmt.Errorf("memstreamer/sqlite: %w", err)
		}
		defer func() { _ = s.leader.file.release() }()
	}
	err = s.withConn(ctx, func(conn *sql.Conn) error {
		if err := guard(conn, func() error { return s.start(ctx, conn, tx, o) }); err != nil {
			return err
		}
		// Deferred, so that what others want is written too while a panic or a Goexit of f
		// unwinds this goroutine.
		defer func() {
			tx.err = guard(conn, func() error { return s.write(tx) })
		}()
		if o.tx != nil {
			o.tx.call(ctx, o.f)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("memstreamer/sqlite: %w", err)
	}
	return nil
}

// start begins tx on conn, with o in it.
func (s *Streamer) start(ctx context.Context, conn *sql.Conn, tx *transaction, o *op) (err error) {
	if _, err := s.lookUp(conn); err != nil {
		return err
	}
	if err := s.begin(ctx, conn); err != nil {
		return err
	}
	tx.conn, tx.nextID, tx.began = conn, s.leader.lastID+1, time.Now()
	if o.kind == opInTx {
		if o.tx, err = s.beginTx(tx); err != nil {
			rollback(conn)
			return err
		}
	}
	s.withdraw(o)
	tx.ops = append(tx.ops, o)
	return nil
}

// tell ends the calls of ops with err, but for those that know their outcome.
func tell(err error, ops []*op) {
	if err != nil {
		err = fmt.Errorf("memstreamer/sqlite: %w", err)
	}
	for _, o := range ops {
		if !o.told() {
			o.tell(err)
		}
	}
}

// write ends tx with the ops that wait in it, and returns their outcome.
func (s *Streamer) write(tx *transaction) error {
	err := s.executeAll(tx)
	again := !tx.alone()
	if err != nil {
		rollback(tx.conn)
	} else {
		// A COMMIT may fail for what one of several functions has written, such as a row
		// that breaks a deferred constraint.
		err = s.finish(tx)
		again = again && s.leader.doubt == nil && len(tx.ops) > 1 && tx.hasRows()
	}
	if err != nil && again {
		s.putBack(tx)
		return nil
	}
	return err
}

// executeAll executes the ops that wait, and deletes rows.
func (s *Streamer) executeAll(tx *transaction) error {
	// Calls that come meanwhile need not wait for the next transaction. Those that shared
	// one were told a moment ago, and may be about to call again.
	for ops := tx.ops; len(ops) > 0; ops = s.take(tx) {
		if err := s.execute(tx, ops); err != nil {
			return err
		}
		if s.leader.yields > 0 {
			runtime.Gosched()
		}
	}
	if s.leader.yields = max(s.leader.yields-1, 0); len(tx.ops) > 1 {
		s.leader.yields = maxYields
	}
	if tx.alone() || s.closing.Err() != nil { // a streamer after this one may know more
		return nil
	}
	if err := s.writeAcks(tx); err != nil {
		return err
	}
	return s.deleteDropped(tx)
}

// finish commits tx, and does in memory what it has written.
func (s *Streamer) finish(tx *transaction) error {
	if err := s.mark(tx); err != nil {
		rollback(tx.conn)
		return err
	}
	s.leader.doubt = tx // also if the driver panics
	err := s.commitOn(tx.conn)
	if err == nil {
		s.leader.doubt = nil
		s.apply(tx)
		if tx.deletes { // and otherwise it is deleted again
			s.leader.dropped = dropped{}
		}
		return nil
	}
	rollback(tx.conn)
	committed, unknown := s.lookUp(tx.conn)
	switch {
	case unknown != nil:
		return fmt.Errorf("%w; %w", err, unknown)
	case !committed:
		return err
	}
	return nil
}

// lookUp finds out about the transaction whose outcome is unknown, if there is
// one, and does in memory what was written. It reports whether it was committed.
func (s *Streamer) lookUp(conn *sql.Conn) (committed bool, err error) {
	tx := s.leader.doubt
	if tx == nil {
		return false, nil
	}
	if committed, err = s.isCommitted(conn, tx); err != nil {
		return false, fmt.Errorf("the outcome of a COMMIT is unknown, since it could not be looked up: %w", err)
	}
	if committed {
		s.apply(tx)
	}
	s.leader.doubt = nil
	s.opts.logger.Warn("a COMMIT failed, and its outcome was looked up", "committed", committed, "calls", len(tx.ops))
	return committed, nil
}

// isCommitted reports whether what tx has written is in the database: all of it, or
// nothing. If it is, the last event is there, whose ID is new, and all cursors are
// where tx has left them, or further.
func (s *Streamer) isCommitted(conn *sql.Conn, tx *transaction) (committed bool, err error) {
	ctx := context.Background()
	if tx.nextID > s.leader.lastID+1 {
		if err := conn.QueryRowContext(ctx, s.queries.hasEvent, tx.nextID-1).Scan(&committed); err != nil || !committed {
			return false, err
		}
	}
	for life, want := range tx.positions {
		var position int64
		if err := conn.QueryRowContext(ctx, s.queries.position, life).Scan(&position); err != nil {
			return false, err
		}
		if position < want || want < 0 && position >= 0 {
			return false, nil
		}
	}
	return true, nil
}

// copyHeaders has tx keep no map of its callers', who go on before its outcome is
// known.
func (tx *transaction) copyHeaders() {
	for _, o := range tx.written {
		o.event.Headers = maps.Clone(o.event.Headers)
	}
}
