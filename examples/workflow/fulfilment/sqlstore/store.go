// Package sqlstore keeps the records and the outbox of a fulfilment engine in a
// SQLite database.
package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// The outbox is an index.
const schema = `
CREATE TABLE IF NOT EXISTS fulfilment_records (
	order_id TEXT    NOT NULL PRIMARY KEY,
	status   INTEGER NOT NULL,
	sent     INTEGER NOT NULL DEFAULT 0, -- the status whose event was sent last
	record   TEXT    NOT NULL -- JSON
);
CREATE INDEX IF NOT EXISTS fulfilment_outbox ON fulfilment_records (order_id) WHERE sent < status`

// Store is a [fulfilment.Store] that outlives its process.
type Store struct {
	// DB has one connection, and so nobody who shares it waits in SQLite.
	DB *sql.DB
}

// Open opens the store in a directory, and makes both if they are missing. The
// driver is modernc.org/sqlite, which the program has to import.
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "fulfilment.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{db}, nil
}

// Close closes the database.
func (s *Store) Close() error { return s.DB.Close() }

// Save implements [fulfilment.Store].
func (s *Store) Save(ctx context.Context, record fulfilment.Record) error {
	recordJSON, err := json.Marshal(record)
	if err != nil {
		return err
	}
	save := `UPDATE fulfilment_records SET status = ?2, record = ?3 WHERE order_id = ?1 AND status = ?2 - 1`
	if record.Status == fulfilment.Placed {
		save = `INSERT OR IGNORE INTO fulfilment_records (order_id, status, record) VALUES (?1, ?2, ?3)`
	}
	result, err := s.DB.ExecContext(ctx, save, record.Order.ID, int(record.Status), string(recordJSON))
	if err != nil {
		return err
	}
	saved, err := result.RowsAffected()
	if err == nil && saved == 0 {
		err = fulfilment.ErrConflict
	}
	return err
}

// Load implements [fulfilment.Store].
func (s *Store) Load(ctx context.Context, orderID string) (fulfilment.Record, error) {
	records, err := s.records(ctx, `WHERE order_id = ?`, orderID)
	if err == nil && len(records) == 0 {
		err = fulfilment.ErrNotFound
	}
	if err != nil {
		return fulfilment.Record{}, err
	}
	return records[0], nil
}

// All implements [fulfilment.Store].
func (s *Store) All(ctx context.Context) ([]fulfilment.Record, error) {
	return s.records(ctx, ``)
}

// Outbox implements [fulfilment.Store].
func (s *Store) Outbox(ctx context.Context, limit int) ([]fulfilment.Record, error) {
	return s.records(ctx, `WHERE sent < status LIMIT ?`, limit)
}

// Sent implements [fulfilment.Store].
func (s *Store) Sent(ctx context.Context, record fulfilment.Record) error {
	_, err := s.DB.ExecContext(ctx, `UPDATE fulfilment_records SET sent = max(sent, ?) WHERE order_id = ?`, int(record.Status), record.Order.ID)
	return err
}

func (s *Store) records(ctx context.Context, where string, args ...any) (records []fulfilment.Record, err error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT record FROM fulfilment_records `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var recordJSON []byte
		if err := rows.Scan(&recordJSON); err != nil {
			return nil, err
		}
		var record fulfilment.Record
		if err := json.Unmarshal(recordJSON, &record); err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, rows.Err()
}
