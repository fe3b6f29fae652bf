package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/memstreamer/memstreamer"
)

// ErrAcked is returned, wrapped, by [Tx.Ack] for an event that its consumer has acked.
var ErrAcked = errors.New("the event was acked before")

// ErrTxDone is returned by the methods of a [Tx] whose function has returned.
var ErrTxDone = errors.New("memstreamer/sqlite: the function of this Tx has returned")

var errEnds = errors.New("memstreamer/sqlite: a function of InTx must not end the transaction, which others share: return nil, or an error")

var errUnseen = errors.New("a statement of a function of InTx has rolled back the transaction, which others shared")

// Tx is the transaction of [Streamer.InTx]. It is for one goroutine at a time.
//
// Its methods that take SQL are those of sqlc's DBTX, and do what those of [sql.Tx] do.
// What they return is closed when the function returns. Their contexts are looked at
// before a statement begins and not later: SQLite would roll back the whole
// transaction, others' writes with it.
type Tx struct {
	streamer *Streamer
	shared   *transaction
	parts    []*op // what was sent and acked
	onCommit []func()

	open   []func() error // closes what statements may have left open
	unseen bool           // a statement may have failed without tx having seen it
	lost   error          // why SQLite has rolled back

	called   bool          // the function was
	err      error         // of the function
	returned chan struct{} // closed when err is what it has returned
	done     atomic.Bool
}

// Streamer returns the streamer whose InTx has made tx.
func (tx *Tx) Streamer() *Streamer { return tx.streamer }

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
	tx.parts = append(tx.parts, o)
	return nil
}

// Ack acks an event that a receiver of the consumer (topic, name) has returned, once
// the transaction is committed. It fails with [ErrAcked] if the consumer has acked the
// event before, by whichever call, in this transaction too. So what an f writes that
// returns this error is written once for each event.
func (tx *Tx) Ack(topic, name string, id int64) error {
	if tx.done.Load() {
		return ErrTxDone
	}
	c, ok := tx.streamer.journal.Consumer(topic, name, memstreamer.ReceiverOptions{})
	after := max(c.After, tx.shared.positions[c.Life])
	for _, o := range tx.parts {
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
	case id > tx.streamer.leader.lastID:
		err = errors.New("there is no such event")
	default:
		tx.parts = append(tx.parts, &op{kind: opAck, topic: topic, name: name, life: c.Life, id: id})
		return nil
	}
	return fmt.Errorf("memstreamer/sqlite: Tx.Ack: topic %q, name %q, event %d: %w", topic, name, id, err)
}

// OnCommit has InTx call g once what f has written is committed, before it returns nil.
// Functions are called in the order in which they were given, and may use the streamer; if
// one panics, those after it are not called. One that is given after f has returned is
// ignored.
func (tx *Tx) OnCommit(g func()) { tx.onCommit = append(tx.onCommit, g) }

// ExecContext executes a statement.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := tx.check(ctx, query); err != nil {
		return nil, err
	}
	result, err := tx.shared.conn.ExecContext(context.WithoutCancel(ctx), query, args...)
	return result, tx.failed(err)
}

// QueryContext executes a query.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := tx.check(ctx, query); err != nil {
		return nil, err
	}
	rows, err := tx.shared.conn.QueryContext(context.WithoutCancel(ctx), query, args...)
	if err == nil {
		tx.open = append(tx.open, rows.Close)
		tx.unseen = true
	}
	return rows, tx.failed(err)
}

// QueryRowContext executes a query of one row at most.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := tx.check(ctx, query); err != nil {
		return tx.failedRow(err)
	}
	row := tx.shared.conn.QueryRowContext(context.WithoutCancel(ctx), query, args...)
	tx.open = append(tx.open, func() error { return row.Scan() })
	tx.unseen = true
	_ = tx.failed(row.Err())
	return row
}

// PrepareContext prepares a statement. The contexts of its methods are the driver's:
// pass none that may end. Its rows have to be closed before the function returns, or the
// streamer waits for them.
func (tx *Tx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	if err := tx.check(ctx, query); err != nil {
		return nil, err
	}
	stmt, err := tx.shared.conn.PrepareContext(context.WithoutCancel(ctx), query)
	if err == nil {
		tx.open = append(tx.open, stmt.Close)
		tx.unseen = true
	}
	return stmt, err
}

// check reports why a statement may not be executed.
func (tx *Tx) check(ctx context.Context, query string) error {
	switch {
	case tx.done.Load():
		return ErrTxDone
	case ends(query):
		return errEnds
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if tx.unseen { // some drivers report the error of a query with its rows
		_ = tx.failed(errUnseen)
		tx.unseen = false
	}
	return nil
}

// failed returns err. If SQLite has rolled back the transaction for it, as it does for
// INSERT OR ROLLBACK, what follows must not be committed by itself: it is in another
// transaction, which is rolled back.
func (tx *Tx) failed(err error) error {
	if err != nil && execute(tx.shared.conn, `BEGIN`) == nil {
		tx.lost = err
	}
	return err
}

// failedRow returns a row that fails with err.
func (tx *Tx) failedRow(err error) *sql.Row {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return tx.streamer.db.QueryRowContext(failedContext{ctx, err}, "")
}

// failedContext is done, with err.
type failedContext struct {
	context.Context
	err error
}

func (c failedContext) Err() error { return c.err }
