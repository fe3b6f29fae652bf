// Package sqlstore keeps the records and the outbox of a fulfilment engine in a
// SQLite database. It imports no driver.
package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

const schema = `
CREATE TABLE IF NOT EXISTS fulfilment_records (
	id      INTEGER PRIMARY KEY, -- in the order in which they were accepted
	run_id  TEXT    NOT NULL UNIQUE,
	status  INTEGER NOT NULL,
	version INTEGER NOT NULL,
	record  TEXT    NOT NULL -- JSON
);
CREATE TABLE IF NOT EXISTS fulfilment_outbox (
	id    INTEGER PRIMARY KEY AUTOINCREMENT,
	event TEXT NOT NULL -- JSON
)`

// Store is a [fulfilment.Store] that outlives its process.
type Store struct{ db *sql.DB }

// Open returns the store in db, which stays the caller's to close. It makes its
// tables where there are none.
func Open(ctx context.Context, db *sql.DB) (*Store, error) {
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, err
	}
	return &Store{db}, nil
}

// Save implements [fulfilment.Store].
func (s *Store) Save(ctx context.Context, record fulfilment.Record, event fulfilment.OutboxEvent) error {
	recordJSON, err := json.Marshal(record)
	if err != nil {
		return err
	}
	eventJSON, err := json.Marshal(event)
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after a Commit
	query := `UPDATE fulfilment_records SET version = ?1, status = ?2, record = ?3 WHERE run_id = ?4 AND version = ?1 - 1`
	if record.Version == 1 {
		query = `INSERT OR IGNORE INTO fulfilment_records (version, status, record, run_id) VALUES (?1, ?2, ?3, ?4)`
	}
	result, err := tx.ExecContext(ctx, query, record.Version, int(record.Status), string(recordJSON), record.RunID)
	if err != nil {
		return err
	}
	if saved, err := result.RowsAffected(); err != nil || saved == 0 {
		return errors.Join(err, fulfilment.ErrConflict)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO fulfilment_outbox (event) VALUES (?)`, string(eventJSON)); err != nil {
		return err
	}
	return tx.Commit()
}

// Load implements [fulfilment.Store].
func (s *Store) Load(ctx context.Context, runID string) (fulfilment.Record, error) {
	records, err := s.records(ctx, `SELECT record FROM fulfilment_records WHERE run_id = ?`, runID)
	if err != nil {
		return fulfilment.Record{}, err
	}
	if len(records) == 0 {
		return fulfilment.Record{}, fulfilment.ErrNotFound
	}
	return records[0], nil
}

// Unfinished implements [fulfilment.Store].
func (s *Store) Unfinished(ctx context.Context) ([]fulfilment.Record, error) {
	return s.records(ctx, `SELECT record FROM fulfilment_records WHERE status <> ? ORDER BY id`, int(fulfilment.Delivered))
}

// All returns the records of all runs in the order in which they were accepted.
func (s *Store) All(ctx context.Context) ([]fulfilment.Record, error) {
	return s.records(ctx, `SELECT record FROM fulfilment_records ORDER BY id`)
}

func (s *Store) records(ctx context.Context, query string, args ...any) (records []fulfilment.Record, err error) {
	err = s.each(ctx, func(row *sql.Rows) error {
		var b []byte
		if err := row.Scan(&b); err != nil {
			return err
		}
		records = append(records, fulfilment.Record{})
		return json.Unmarshal(b, &records[len(records)-1])
	}, query, args...)
	return records, err
}

// Outbox implements [fulfilment.Store].
func (s *Store) Outbox(ctx context.Context, limit int) (events []fulfilment.OutboxEvent, err error) {
	err = s.each(ctx, func(row *sql.Rows) error {
		var id int64
		var b []byte
		if err := row.Scan(&id, &b); err != nil {
			return err
		}
		var event fulfilment.OutboxEvent
		err := json.Unmarshal(b, &event)
		event.ID = id
		events = append(events, event)
		return err
	}, `SELECT id, event FROM fulfilment_outbox ORDER BY id LIMIT ?`, limit)
	return events, err
}

// DeleteOutboxEvent implements [fulfilment.Store].
func (s *Store) DeleteOutboxEvent(ctx context.Context, id int64) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM fulfilment_outbox WHERE id = ?`, id)
	return err
}

// each calls f with each row that query returns.
func (s *Store) each(ctx context.Context, f func(*sql.Rows) error, query string, args ...any) error {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
