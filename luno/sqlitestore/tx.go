package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

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
// reads and stores in tx: it is committed with whatever else is written in tx, or not at
// all. If the call fails, the function that got tx has to fail too: a part of what the call
// wrote may be in tx. It does fail if tx is of another streamer than the store's, and if the
// store has none.
//
// The context is for calls within that function alone. WithTx panics if tx is nil.
func WithTx(ctx context.Context, tx *sqlite.Tx) context.Context {
	if tx == nil {
		panic("memstreamer/luno/sqlitestore: WithTx: the Tx is nil")
	}
	return context.WithValue(ctx, txKey{}, tx)
}

// txOf returns the transaction of ctx, or nil if it has none.
func (s *Store) txOf(ctx context.Context) (*sqlite.Tx, error) {
	tx, _ := ctx.Value(txKey{}).(*sqlite.Tx)
	if tx != nil && tx.Streamer() != s.streamer {
		return nil, errors.New("the Tx of WithTx is of another streamer than the store's, or the store has none: give New the streamer whose InTx it is")
	}
	return tx, nil
}

// inTx calls f with the transaction of ctx, or with one of the streamer's.
func (s *Store) inTx(ctx context.Context, f func(*sqlite.Tx) error) error {
	tx, err := s.txOf(ctx)
	switch {
	case err != nil:
		return err
	case tx != nil:
		return f(tx)
	}
	return s.streamer.InTx(ctx, f)
}

// write calls f with a transaction: that of inTx, or one of the database's if there is
// no streamer.
func (s *Store) write(ctx context.Context, f func(dbtx) error) error {
	if s.streamer != nil {
		return s.inTx(ctx, func(tx *sqlite.Tx) error { return f(tx) })
	}
	if _, err := s.txOf(ctx); err != nil {
		return err
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

// readAll returns what scan makes of each row that a query of s finds.
func readAll[T any](ctx context.Context, s *Store, query string, scan func(*sql.Rows) (T, error), args ...any) ([]T, error) {
	tx, err := s.txOf(ctx)
	switch {
	case err != nil:
		return nil, err
	case tx != nil:
		return queryAll(ctx, tx, s.sql(query), scan, args...)
	}
	return queryAll(ctx, s.db, s.sql(query), scan, args...)
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
