package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SQLite's own waits for another connection's transaction grow to 100 ms, and no
// context ends them. These are shorter, and end with a context.
const (
	minWait = 50 * time.Microsecond
	maxWait = time.Millisecond
)

// withConn calls f with a connection of the pool. One on which f panics is closed.
func (s *Streamer) withConn(ctx context.Context, f func(*sql.Conn) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer func() {
		if p := recover(); p != nil {
			discard(conn)
			panic(p)
		}
	}()
	return f(conn)
}

// begin begins a transaction on conn, and waits for those of other connections
// until ctx is done. No statement gets a ctx: drivers interrupt one whose context
// ends, wherever it is.
func (s *Streamer) begin(ctx context.Context, conn *sql.Conn) (err error) {
	if s.db.Stats().MaxOpenConnections != 1 {
		// Others in this process write, too.
		var timeout int
		if err := conn.QueryRowContext(context.Background(), `PRAGMA busy_timeout`).Scan(&timeout); err != nil {
			return err
		}
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

// end commits the transaction on conn.
func (s *Streamer) end(conn *sql.Conn) error {
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
