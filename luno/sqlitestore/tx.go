package sqlitestore

import (
	"context"
	"database/sql"
)

// dbtx is what statements are executed on: a database or a transaction.
type dbtx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// write calls f with a transaction.
func (s *Store) write(ctx context.Context, f func(dbtx) error) error {
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
func (s *Store) reader(ctx context.Context) dbtx { return s.db }

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
