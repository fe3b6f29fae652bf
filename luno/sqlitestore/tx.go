package sqlitestore

import (
	"context"
	"database/sql"

	"github.com/memstreamer/memstreamer/sqlite"
)

// dbtx is what statements are executed on: a database or a transaction.
type dbtx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

type txKey struct{}

// WithTx returns a context by which a call of the engine, such as Trigger or Callback,
// reads and stores in tx, a transaction of the store's streamer: it is committed with
// whatever else is written in tx, or not at all. If the call fails, the function that got
// tx has to fail too: a part of what the call wrote may be in tx.
//
// The context is for calls within that function alone. WithTx panics if tx is nil.
func WithTx(ctx context.Context, tx *sqlite.Tx) context.Context {
	if tx == nil {
		panic("memstreamer/luno/sqlitestore: WithTx: the Tx is nil")
	}
	return context.WithValue(ctx, txKey{}, tx)
}

func txOf(ctx context.Context) *sqlite.Tx {
	tx, _ := ctx.Value(txKey{}).(*sqlite.Tx)
	return tx
}

// inTx calls f with the transaction of ctx, or with one of the streamer's.
func (s *Store) inTx(ctx context.Context, f func(*sqlite.Tx) error) error {
	if tx := txOf(ctx); tx != nil {
		return f(tx)
	}
	return s.streamer.InTx(ctx, f)
}

// write calls f with a transaction: that of inTx, or one of the database's if there is
// no streamer.
func (s *Store) write(ctx context.Context, f func(dbtx) error) error {
	if s.streamer != nil || txOf(ctx) != nil {
		return s.inTx(ctx, func(tx *sqlite.Tx) error { return f(tx) })
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // which does nothing after Commit
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// reader returns what a call reads from.
func (s *Store) reader(ctx context.Context) dbtx {
	if tx := txOf(ctx); tx != nil {
		return tx
	}
	return s.db
}

// queryAll returns what scan makes of each row.
func queryAll[T any](ctx context.Context, db dbtx, query string, scan func(*sql.Rows) (T, error), args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
