package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memstreamer/memstreamer"
)

// SQLite's own waits for another connection's transaction grow to 100 ms, and no
// context ends them. These are shorter, and end with a context.
const (
	minWait = 50 * time.Microsecond
	maxWait = time.Millisecond
)

// transaction is what is written together.
type transaction struct {
	conn  *sql.Conn
	began time.Time
	ops   []*op // of the calls that share it
	err   error // their outcome

	written []*op // ops, with what functions have sent and acked in place of their own
	acks    []*op // that were pending, until it is known that they are committed
	rows    []any // of events that are still to be inserted

	nextID    int64
	made      map[consumer]memstreamer.Consumer
	positions map[int64]int64 // of cursors that were written, by life; -1 if deleted
	deletes   bool            // the rows of what memory has dropped
}

type consumer struct{ topic, name string }

func newTransaction() *transaction {
	return &transaction{
		err:       errPanicked,
		made:      make(map[consumer]memstreamer.Consumer),
		positions: make(map[int64]int64),
	}
}

// alone reports whether what tx writes has failed beside others.
func (tx *transaction) alone() bool { return len(tx.ops) > 0 && tx.ops[0].alone }

// hasRows reports whether tx may have rows of a caller's own.
func (tx *transaction) hasRows() bool {
	return slices.ContainsFunc(tx.written, func(o *op) bool { return o.kind == opInTx })
}

// events calls yield with the events that tx has written, and their topics.
func (tx *transaction) events(yield func(string, *memstreamer.Event) bool) {
	for _, o := range tx.written {
		if o.kind == opSend && !yield(o.topic, &o.event) {
			return
		}
	}
}

func (tx *transaction) exec(query string, args ...any) (sql.Result, error) {
	return tx.conn.ExecContext(context.Background(), query, args...)
}

// maxRows is how many rows a statement has at most. SQLite takes 32,766 variables, and
// builds of before 2020 take 999.
const maxRows = 128

// execRows executes a statement on VALUES, for n rows, many at once: compiling one takes
// most of the time.
//
// No statement is kept compiled. Of a Send's CPU, 18% is compiling its six statements,
// on modernc.org/sqlite by a profile. database/sql keeps one for the life of a connection
// only by [sql.Tx.StmtContext], and a sql.Tx, with its goroutine, adds more to BEGIN and
// COMMIT than a compiled INSERT saves: a transaction takes 1.4 times as long with one
// (BenchmarkCompiled). Statements made by [sql.Conn.Raw] would outlive the connections
// that the pool closes. A driver may keep them: see the README.
func (tx *transaction) execRows(query string, n int, args []any) error {
	head, tail, _ := strings.Cut(query, " VALUES ")
	row, tail, _ := strings.Cut(tail, ")")
	for n > 0 {
		now := min(n, maxRows)
		some := args[:len(args)/n*now]
		if _, err := tx.exec(head+" VALUES "+strings.Repeat(row+"), ", now-1)+row+")"+tail, some...); err != nil {
			return err
		}
		n, args = n-now, args[len(some):]
	}
	return nil
}

// withConn calls f with a connection of the pool.
func (s *Streamer) withConn(ctx context.Context, f func(*sql.Conn) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(conn)
}

// guard calls f, and has the pool close conn if f panics.
func guard(conn *sql.Conn, f func() error) error {
	panicked := true
	defer func() {
		if panicked {
			discard(conn)
		}
	}()
	err := f()
	panicked = false
	return err
}

// begin begins a transaction on conn, and waits for those of other connections, of
// this process or another, until ctx is done. No statement gets a ctx: drivers
// interrupt one whose context ends, wherever it is.
func (s *Streamer) begin(ctx context.Context, conn *sql.Conn) (err error) {
	var timeout int
	if err := conn.QueryRowContext(context.Background(), `PRAGMA busy_timeout`).Scan(&timeout); err != nil {
		return err
	}
	if timeout > 0 {
		if err := execute(conn, `PRAGMA busy_timeout = 0`); err != nil {
			return err
		}
		defer func() {
			// The connection is the engine's, too.
			if restored := execute(conn, `PRAGMA busy_timeout = `+strconv.Itoa(timeout)); err == nil && restored != nil {
				rollback(conn)
				err = restored
			}
		}()
	}
	return retry(ctx, func() error { return execute(conn, `BEGIN IMMEDIATE`) })
}

// commitOn commits the transaction on conn.
func (s *Streamer) commitOn(conn *sql.Conn) error {
	err := execute(conn, `COMMIT`)
	if err == nil || !busy(err) {
		return err
	}
	// Only a rollback journal has it wait, for those who read.
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.ackTimeout)
	defer cancel()
	return retry(ctx, func() error { return execute(conn, `COMMIT`) })
}

// rollback ends the transaction on conn, if it has not ended with the error that
// is the reason for this.
func rollback(conn *sql.Conn) {
	if execute(conn, `ROLLBACK`) == nil {
		return
	}
	if execute(conn, `BEGIN`) != nil || execute(conn, `ROLLBACK`) != nil {
		discard(conn)
	}
}

// discard has the pool close conn, which rolls back what is open on it.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

func execute(conn *sql.Conn, statement string) error {
	_, err := conn.ExecContext(context.Background(), statement)
	return err
}

// retry calls f again while another connection is in its way, until ctx is done.
func retry(ctx context.Context, f func() error) error {
	for wait := minWait; ; wait = min(2*wait, maxWait) {
		err := f()
		if err == nil || !busy(err) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// busy reports whether another connection was in a statement's way, by SQLite's
// own words, which all drivers pass on.
func busy(err error) bool {
	return strings.Contains(err.Error(), "database is locked") || strings.Contains(err.Error(), "table is locked")
}
