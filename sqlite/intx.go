package sqlite

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
)

var (
	errUnwound = errors.New("the function of an InTx panicked, or ended its goroutine")
	errNested  = errors.New("memstreamer/sqlite: called by a function of InTx, for which it would wait: use its Tx")
)

// InTx calls f, and commits what f writes by tx together with the events that it sends
// and acks by tx: all of it or, if f or the COMMIT fails, nothing. It returns f's error
// as it is, and otherwise fails as Send does. It calls f on its own goroutine: if f
// panics or ends that, what it has written is rolled back.
//
// Calls of InTx, Send and Ack that write at the same time share a transaction, in which
// each f has a savepoint. If that fails, each f is called once more, in a transaction of
// its own: f must have no effects but by tx, and those of [Tx.OnCommit]. It is not called
// again where the outcome of a COMMIT is unknown, which the error says. Events get their
// IDs after f has returned, and none is spent on an f that fails.
//
// All other writers wait while f runs: it should take no longer than its statements. f
// must not
//
//   - use the streamer other than by tx, which fails where it can be seen and otherwise
//     waits for f itself: on another goroutine for which f waits, for example;
//   - use the database other than by tx, which waits for f itself: at once with a pool of
//     one connection, and in any other as soon as it writes;
//   - wait for a lock that a caller of the streamer may hold, who may be waiting for f;
//   - end the transaction, which others share. COMMIT, END and ROLLBACK are refused. If a
//     statement such as INSERT OR ROLLBACK rolls it back, the InTx fails even if f returns
//     nil. But where a prepared statement does, the prepared statements that follow it are
//     committed by themselves.
//
// A deferred constraint that f has broken fails the COMMIT, with which its own InTx fails.
// ctx is looked at until f is called, and before it is called again. A call whose
// transaction has begun returns when that ends, which may be after the function of another
// call.
func (s *Streamer) InTx(ctx context.Context, f func(tx *Tx) error) error {
	s.mustBeMade()
	if f == nil {
		return errors.New("memstreamer/sqlite: InTx: f is nil")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	o := &op{kind: opInTx, f: f, begun: make(chan *Tx)}
	if err := s.commitUntilClosed(ctx, o); err != nil {
		return err
	}
	for _, g := range o.tx.onCommit {
		g()
	}
	return nil
}

// functions counts those of all streamers that run.
var functions atomic.Int64

// call calls f, on the goroutine that called InTx.
func (tx *Tx) call(ctx context.Context, f func(*Tx) error) {
	defer close(tx.returned)
	if tx.err = ctx.Err(); tx.err != nil {
		return
	}
	tx.called, tx.err = true, errUnwound
	functions.Add(1)
	tx.streamer.running.Store(tx)
	defer func() {
		tx.streamer.running.Store(nil)
		functions.Add(-1)
	}()
	tx.err = f(tx)
}

// nested reports whether a function of InTx of s calls this, which must not wait for
// the turn then. It is seen if all functions that run are on this stack: not while one
// of another streamer runs elsewhere.
func (s *Streamer) nested() bool {
	tx := s.running.Load()
	if tx == nil {
		return false
	}
	all, mine := functions.Load(), int64(0)
	pcs := make([]uintptr, 128)
	for runtime.Callers(1, pcs) == len(pcs) {
		pcs = make([]uintptr, 2*len(pcs))
	}
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for more := true; more; {
		var frame runtime.Frame
		if frame, more = frames.Next(); strings.HasSuffix(frame.Function, "sqlite.(*Tx).call") {
			mine++
		}
	}
	return mine == all && s.running.Load() == tx
}

// savepoint is that of a function.
const savepoint = "memstreamer_in_tx"

func (s *Streamer) beginTx(tx *transaction) (*Tx, error) {
	err := execute(tx.conn, "SAVEPOINT "+savepoint)
	return &Tx{streamer: s, shared: tx, returned: make(chan struct{})}, err
}

// runTx has the function of o called, unless o's call leads and has called it, and
// executes what it has sent and acked.
func (s *Streamer) runTx(tx *transaction, o *op) (err error) {
	if o.tx == nil {
		if o.tx, err = s.beginTx(tx); err != nil {
			return err
		}
		o.begun <- o.tx
		<-o.tx.returned
	}
	err = o.tx.end()
	if o.tx.err != nil && (err == nil || tx.alone() || o.tx.err == errUnwound) {
		o.tell(o.tx.err) // and otherwise f is called again
	}
	if o.tx.err != nil || err != nil {
		return err
	}
	tx.written = append(tx.written, o)
	for _, part := range o.tx.parts {
		if err := s.executeOne(tx, part); err != nil {
			return err
		}
	}
	return nil
}

// end ends the savepoint of tx. It fails if the shared transaction cannot go on.
func (tx *Tx) end() (err error) {
	tx.done.Store(true)
	for _, closeOne := range tx.open {
		_ = closeOne()
	}
	if tx.err != nil {
		err = execute(tx.shared.conn, "ROLLBACK TO "+savepoint)
	}
	if err == nil {
		err = execute(tx.shared.conn, "RELEASE "+savepoint)
	}
	return cmp.Or(tx.lost, err)
}

// mark writes what isCommitted looks for, if there is nothing but rows of callers' own:
// a cursor of no consumer, with a new life.
func (s *Streamer) mark(tx *transaction) error {
	if tx.nextID > s.leader.lastID+1 || len(tx.positions) > 0 || !tx.hasRows() {
		return nil
	}
	result, err := tx.exec(s.queries.mark)
	if err != nil {
		return err
	}
	life, err := result.LastInsertId()
	tx.positions[life] = 0
	return err
}
