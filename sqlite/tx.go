package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/memstreamer/memstreamer"
)

// ErrAcked is returned, wrapped, by [Tx.Ack] for an event that its consumer has acked.
var ErrAcked = errors.New("the event was acked before")

// ErrTxDone is returned by the methods of a [Tx] whose function has returned.
var ErrTxDone = errors.New("memstreamer/sqlite: the function of this Tx has returned")

var (
	errUnwound = errors.New("the function of an InTx panicked, or ended its goroutine")
	errNested  = errors.New("memstreamer/sqlite: called by a function of InTx, which it would wait for: use its Tx")
	errEnds    = errors.New("memstreamer/sqlite: a function of InTx must not end the transaction that it shares: return nil, or an error")
)

// InTx calls f, and commits what f writes by tx together with the events that it
// sends and acks by tx: all of it or, if f or the COMMIT fails, nothing. It returns f's
// error as it is. The other errors are those of Send.
//
// Calls of InTx, Send and Ack that write at the same time share a transaction, in
// which each f has a savepoint. If that transaction fails, each f is called again in a
// transaction of its own: f must have no effects but by tx. It is never called again
// while the outcome of a COMMIT is unknown. f runs on the goroutine that called InTx. If
// it panics or ends the goroutine, what it has written is rolled back.
//
// All other writers wait while f runs: it should take no longer than its statements. It
// must not end the transaction, nor use the streamer other than by tx, nor, with a pool
// of one connection, the database: that would wait for f itself. ctx is not looked at
// once f was called.
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

// Tx is the transaction of [Streamer.InTx]. It is for one goroutine at a time. Its
// methods that take SQL are those of sqlc's DBTX. What they return is closed when the
// function returns. Their contexts are looked at before a statement begins and not
// later: SQLite would roll back the whole transaction, others' writes with it.
type Tx struct {
	streamer *Streamer
	shared   *transaction
	ops      []*op
	onCommit []func()
	open     []func() error // closes what statements have left open
	lost     error          // why SQLite has rolled back
	called   bool           // the function was
	err      error          // of the function
	returned chan struct{}  // closed when err is what it has returned
	done     atomic.Bool
}

// Send sends an event to topic as [memstreamer.EventSender] does, once the transaction
// is committed.
func (tx *Tx) Send(topic, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	if tx.done.Load() {
		return ErrTxDone
	}
	o, err := tx.streamer.newSend(topic, foreignID, statusType, maps.Clone(headers))
	if err == nil && o.topic == "" {
		err = errors.New("topic is empty")
	}
	if err != nil {
		return fmt.Errorf("memstreamer/sqlite: Tx.Send: %w", err)
	}
	tx.ops = append(tx.ops, o)
	return nil
}

// Ack acks an event that a receiver of the consumer (topic, name) has returned, once
// the transaction is committed. It fails with [ErrAcked] if the consumer has acked it
// before, by whomever, in this transaction too: what is written in one transaction with
// an Ack is written once.
func (tx *Tx) Ack(topic, name string, id int64) error {
	if tx.done.Load() {
		return ErrTxDone
	}
	s := tx.streamer
	c, ok := s.journal.Consumer(topic, name, memstreamer.ReceiverOptions{})
	after := max(c.After, tx.shared.positions[c.Life])
	for _, o := range tx.ops {
		if o.kind == opAck && o.life == c.Life {
			after = max(after, o.id)
		}
	}
	var err error
	switch {
	case !ok:
		err = errors.New("there is no such consumer")
	case id <= after:
		err = ErrAcked
	case id > s.leader.lastID:
		err = errors.New("there is no such event")
	default:
		tx.ops = append(tx.ops, &op{kind: opAck, topic: topic, name: name, life: c.Life, id: id})
		return nil
	}
	return fmt.Errorf("memstreamer/sqlite: Tx.Ack: topic %q, name %q, event %d: %w", topic, name, id, err)
}

// OnCommit has InTx call g after the COMMIT, before it returns nil, and after the
// functions that were given before.
func (tx *Tx) OnCommit(g func()) { tx.onCommit = append(tx.onCommit, g) }

// ExecContext is that of [sql.Tx].
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := tx.check(ctx, query); err != nil {
		return nil, err
	}
	result, err := tx.shared.conn.ExecContext(context.WithoutCancel(ctx), query, args...)
	return result, tx.failed(err)
}

// QueryContext is that of [sql.Tx].
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := tx.check(ctx, query); err != nil {
		return nil, err
	}
	rows, err := tx.shared.conn.QueryContext(context.WithoutCancel(ctx), query, args...)
	if err == nil {
		tx.open = append(tx.open, rows.Close)
	}
	return rows, tx.failed(err)
}

// QueryRowContext is that of [sql.Tx].
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := tx.check(ctx, query); err != nil {
		return tx.failedRow(err)
	}
	row := tx.shared.conn.QueryRowContext(context.WithoutCancel(ctx), query, args...)
	tx.open = append(tx.open, func() error { return row.Scan() })
	_ = tx.failed(row.Err())
	return row
}

// PrepareContext is that of [sql.Tx]. The contexts of the statement's own methods are
// the driver's, and its rows are for the function to close: pass none that may end, and
// leave none open.
func (tx *Tx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	if err := tx.check(ctx, query); err != nil {
		return nil, err
	}
	stmt, err := tx.shared.conn.PrepareContext(context.WithoutCancel(ctx), query)
	if err == nil {
		tx.open = append(tx.open, stmt.Close)
	}
	return stmt, err
}

// ends matches what would end the transaction.
var ends = regexp.MustCompile(`(?i)^[\s;]*(commit|end|rollback(\s+transaction)?\s*(;|$))`)

func (tx *Tx) check(ctx context.Context, query string) error {
	switch {
	case tx.done.Load():
		return ErrTxDone
	case tx.lost != nil:
		return fmt.Errorf("memstreamer/sqlite: SQLite has rolled back the transaction: %w", tx.lost)
	case ends.MatchString(query):
		return errEnds
	}
	return ctx.Err()
}

// failed returns err. It finds out whether SQLite has rolled back the transaction for
// it, as it does for INSERT OR ROLLBACK: what followed would be committed at once.
func (tx *Tx) failed(err error) error {
	if err != nil && execute(tx.shared.conn, `BEGIN`) == nil {
		tx.lost = err // and what follows is in a transaction that is rolled back
	}
	return err
}

// failedContext has failed with err.
type failedContext struct {
	context.Context
	err error
}

func (c failedContext) Err() error { return c.err }

// failedRow returns a row that fails with err.
func (tx *Tx) failedRow(err error) *sql.Row {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return tx.streamer.db.QueryRowContext(failedContext{ctx, err}, "")
}

// functions counts those of all streamers that run.
var functions atomic.Int64

// call calls f, on the goroutine that called InTx.
func (tx *Tx) call(ctx context.Context, f func(*Tx) error) {
	defer close(tx.returned)
	if err := ctx.Err(); err != nil {
		tx.err = err
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

// nested reports whether a function of InTx of s calls this, in which case it must not
// wait for the turn. It is one if all that run are on this stack: it misses one while
// another streamer's runs elsewhere, and one that waits for another goroutine.
func (s *Streamer) nested() bool {
	tx := s.running.Load()
	if tx == nil {
		return false
	}
	all, mine := functions.Load(), int64(0)
	pcs := make([]uintptr, 128)
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

// runTx has the function of o called, unless that was, and executes what it has sent
// and acked.
func (s *Streamer) runTx(tx *transaction, o *op) (err error) {
	if o.tx == nil {
		if o.tx, err = s.beginTx(tx); err != nil {
			return err
		}
		o.begun <- o.tx
		<-o.tx.returned
	}
	err = o.tx.end()
	if o.tx.err != nil && (err == nil || tx.alone()) {
		o.tell(o.tx.err)
	}
	if o.tx.err != nil || err != nil {
		return err
	}
	tx.written = append(tx.written, o)
	for _, part := range o.tx.ops {
		if err := s.executeOne(tx, part); err != nil {
			return err
		}
	}
	return nil
}

// end ends the savepoint of tx. It fails if the transaction cannot go on.
func (tx *Tx) end() (err error) {
	tx.done.Store(true)
	for _, closeOne := range tx.open {
		_ = closeOne()
	}
	conn := tx.shared.conn
	if tx.err != nil {
		err = execute(conn, "ROLLBACK TO "+savepoint)
	}
	if err == nil {
		err = execute(conn, "RELEASE "+savepoint)
	}
	return cmp.Or(tx.lost, err)
}

// mark writes what isCommitted finds, for a transaction in which there is only what
// functions have written: a cursor of no consumer.
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
