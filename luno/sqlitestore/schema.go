package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// schemaVersion is that of the tables below.
const schemaVersion = 1

const schemaTable = `CREATE TABLE IF NOT EXISTS @_records_schema (version INTEGER NOT NULL)`

// Times are in microseconds since 1970: nanoseconds would end in 2262, and a timeout need
// not.
var tables = []string{
	`CREATE TABLE @_records (
		id                 INTEGER PRIMARY KEY, -- the order in which the runs began
		run_id             TEXT    NOT NULL UNIQUE,
		workflow_name      TEXT    NOT NULL,
		foreign_id         TEXT    NOT NULL,
		run_state          INTEGER NOT NULL,
		status             INTEGER NOT NULL,
		object             BLOB,
		created_at         INTEGER NOT NULL,
		updated_at         INTEGER NOT NULL,
		run_state_reason   TEXT    NOT NULL,
		status_description TEXT    NOT NULL,
		version            INTEGER NOT NULL,
		trace_origin       TEXT    NOT NULL
	)`,
	`CREATE INDEX @_records_latest ON @_records (workflow_name, foreign_id, id)`,
	`CREATE TABLE @_outbox (
		position      INTEGER PRIMARY KEY AUTOINCREMENT,
		id            TEXT    NOT NULL UNIQUE,
		workflow_name TEXT    NOT NULL,
		data          BLOB    NOT NULL,
		created_at    INTEGER NOT NULL
	)`,
	`CREATE INDEX @_outbox_order ON @_outbox (workflow_name, position)`,
	`CREATE TABLE @_timeouts (
		id            INTEGER PRIMARY KEY AUTOINCREMENT,
		workflow_name TEXT    NOT NULL,
		foreign_id    TEXT    NOT NULL,
		run_id        TEXT    NOT NULL,
		status        INTEGER NOT NULL,
		completed     INTEGER NOT NULL DEFAULT 0,
		expire_at     INTEGER NOT NULL,
		created_at    INTEGER NOT NULL
	)`,
	`CREATE INDEX @_timeouts_valid ON @_timeouts (workflow_name, status, expire_at) WHERE completed = 0`,
}

// createTables makes the tables if there are none.
func (s *Store) createTables(ctx context.Context, tx dbtx) error {
	if _, err := tx.ExecContext(ctx, s.sql(schemaTable)); err != nil {
		return err
	}
	var version int
	err := tx.QueryRowContext(ctx, s.sql(`SELECT version FROM @_records_schema`)).Scan(&version)
	switch {
	case err == nil && version > schemaVersion:
		return fmt.Errorf("the tables are of version %d, made by a newer version of this package, which knows version %d: update it", version, schemaVersion)
	case err == nil || !errors.Is(err, sql.ErrNoRows):
		return err
	}
	for _, statement := range tables {
		if _, err := tx.ExecContext(ctx, s.sql(statement)); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, s.sql(`INSERT INTO @_records_schema (version) VALUES (?)`), schemaVersion)
	return err
}

// sql puts the prefix into a statement.
func (s *Store) sql(statement string) string { return strings.ReplaceAll(statement, "@", s.prefix) }
