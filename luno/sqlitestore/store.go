package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/luno/workflow"
)

// Option configures [New], which fails if a value is invalid.
type Option func(*Store)

// WithPrefix sets what the names of the tables begin with, before an underscore:
// letters, digits and underscores. The default is workflow. Stores of different
// prefixes may share a database.
func WithPrefix(prefix string) Option {
	return func(s *Store) { s.prefix = prefix }
}

var prefixes = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Store is a [workflow.RecordStore] on a SQLite database. Make one with [New]. Its
// methods are safe for concurrent use.
type Store struct {
	db     *sql.DB
	prefix string
}

var _ workflow.RecordStore = (*Store)(nil)

// New returns a store on db.
func New(ctx context.Context, db *sql.DB, opts ...Option) (*Store, error) {
	s := &Store{db: db, prefix: "workflow"}
	for i, opt := range opts {
		if opt == nil {
			return nil, wrap("New", fmt.Errorf("option %d of %d is nil", i+1, len(opts)))
		}
		opt(s)
	}
	switch {
	case db == nil:
		return nil, wrap("New", errors.New("db is nil"))
	case !prefixes.MatchString(s.prefix):
		return nil, wrap("New", fmt.Errorf("WithPrefix: %q is not a prefix of letters, digits and underscores", s.prefix))
	}
	if err := s.open(ctx); err != nil {
		return nil, wrap("New", err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	file, err := fileOf(ctx, s.db)
	switch {
	case err != nil:
		return fmt.Errorf("is it a SQLite database? %w", err)
	case file == "" && s.db.Stats().MaxOpenConnections != 1:
		return errors.New("a database in memory has as many copies as connections: call db.SetMaxOpenConns(1) first")
	}
	return s.write(ctx, func(tx dbtx) error { return s.createTables(ctx, tx) })
}

// fileOf returns the file of a database, or nothing for one in memory.
func fileOf(ctx context.Context, db dbtx) (string, error) {
	var file sql.NullString
	err := db.QueryRowContext(ctx, `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&file)
	return file.String, err
}

func wrap(method string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("memstreamer/luno/sqlitestore: %s: %w", method, err)
}

// Store implements [workflow.RecordStore]. It fails if the version of the record is not
// the next one of its run: another has stored it since it was read, say. A run that is
// new has version 1. Records of version 0, which the engine does not make, are stored
// over one another.
func (s *Store) Store(ctx context.Context, record *workflow.Record) error {
	data, err := workflow.MakeOutboxEventData(*record)
	if err != nil {
		return wrap("Store", err)
	}
	return wrap("Store", s.write(ctx, func(tx dbtx) error {
		if err := s.put(ctx, tx, record); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, s.sql(`INSERT INTO @_outbox (id, workflow_name, data, created_at) VALUES (?, ?, ?, ?)`),
			data.ID, data.WorkflowName, data.Data, time.Now().UnixMicro())
		return err
	}))
}

const (
	columns = `run_id, workflow_name, foreign_id, run_state, status, object, created_at, updated_at, run_state_reason, status_description, version, trace_origin`

	insertRecord = `INSERT INTO @_records (` + columns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (run_id) DO UPDATE SET run_state = excluded.run_state, status = excluded.status, object = excluded.object, updated_at = excluded.updated_at,
			run_state_reason = excluded.run_state_reason, status_description = excluded.status_description, version = excluded.version
		WHERE version = 0`
	updateRecord = `UPDATE @_records SET run_state = ?, status = ?, object = ?, updated_at = ?, run_state_reason = ?, status_description = ?, version = ?
		WHERE run_id = ? AND version = ?`
)

// put writes a record over that of the version before.
func (s *Store) put(ctx context.Context, tx dbtx, r *workflow.Record) error {
	var result sql.Result
	var err error
	version := int64(r.Meta.Version)
	if version <= 1 {
		result, err = tx.ExecContext(ctx, s.sql(insertRecord), r.RunID, r.WorkflowName, r.ForeignID, int(r.RunState), r.Status, r.Object,
			r.CreatedAt.UnixMicro(), r.UpdatedAt.UnixMicro(), r.Meta.RunStateReason, r.Meta.StatusDescription, version, r.Meta.TraceOrigin)
	} else {
		result, err = tx.ExecContext(ctx, s.sql(updateRecord), int(r.RunState), r.Status, r.Object,
			r.UpdatedAt.UnixMicro(), r.Meta.RunStateReason, r.Meta.StatusDescription, version, r.RunID, version-1)
	}
	if err != nil {
		return err
	}
	if changed, err := result.RowsAffected(); changed > 0 || err != nil {
		return err
	}
	return fmt.Errorf("version %d of the record of run %s is not the next: it was stored by another since it was read", version, r.RunID)
}

func scanRecord(row interface{ Scan(...any) error }) (r workflow.Record, err error) {
	var created, updated, version int64
	err = row.Scan(&r.RunID, &r.WorkflowName, &r.ForeignID, &r.RunState, &r.Status, &r.Object, &created, &updated,
		&r.Meta.RunStateReason, &r.Meta.StatusDescription, &version, &r.Meta.TraceOrigin)
	r.CreatedAt, r.UpdatedAt, r.Meta.Version = time.UnixMicro(created), time.UnixMicro(updated), uint(version)
	return r, err
}

// Lookup implements [workflow.RecordStore].
func (s *Store) Lookup(ctx context.Context, runID string) (*workflow.Record, error) {
	return s.one(ctx, "Lookup", `WHERE run_id = ?`, runID)
}

// Latest implements [workflow.RecordStore]. It returns the record of the run that was
// stored first last.
func (s *Store) Latest(ctx context.Context, workflowName, foreignID string) (*workflow.Record, error) {
	return s.one(ctx, "Latest", `WHERE workflow_name = ? AND foreign_id = ? ORDER BY id DESC LIMIT 1`, workflowName, foreignID)
}

func (s *Store) one(ctx context.Context, method, where string, args ...any) (*workflow.Record, error) {
	r, err := scanRecord(s.reader(ctx).QueryRowContext(ctx, s.sql(`SELECT `+columns+` FROM @_records `+where), args...))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, workflow.ErrRecordNotFound
	case err != nil:
		return nil, wrap(method, err)
	}
	return &r, nil
}

// List implements [workflow.RecordStore]. Records are in the order in which their runs
// began, or in reverse. It skips so many as offset says, and returns at most limit,
// where 0 stands for 25, as in the engine's own store.
func (s *Store) List(ctx context.Context, workflowName string, offset int64, limit int, order workflow.OrderType, filters ...workflow.RecordFilter) ([]workflow.Record, error) {
	query, args := `SELECT `+columns+` FROM @_records WHERE TRUE`, []any(nil)
	and := func(condition string, values ...any) {
		query, args = query+" AND "+condition, append(args, values...)
	}
	in := func(column string, f workflow.Filter) {
		if !f.Enabled {
			return
		}
		values := []string{f.Value()}
		if f.IsMultiMatch {
			values = f.MultiValues()
		}
		and(column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")")
		for _, v := range values {
			args = append(args, v)
		}
	}
	if workflowName != "" {
		and("workflow_name = ?", workflowName)
	}
	f := workflow.MakeFilter(filters...)
	in("foreign_id", f.ByForeignID())
	in("status", f.ByStatus())
	in("run_state", f.ByRunState())
	if after := f.ByCreatedAtAfter(); after.Enabled {
		and("created_at > ?", after.Value().UnixMicro())
	}
	if before := f.ByCreatedAtBefore(); before.Enabled {
		and("created_at < ?", before.Value().UnixMicro())
	}
	query += " ORDER BY id"
	if order == workflow.OrderTypeDescending {
		query += " DESC"
	}
	if limit == 0 {
		limit = 25
	}
	scan := func(rows *sql.Rows) (workflow.Record, error) { return scanRecord(rows) }
	list, err := queryAll(ctx, s.reader(ctx), s.sql(query+" LIMIT ? OFFSET ?"), scan, append(args, limit, offset)...)
	return list, wrap("List", err)
}

// ListOutboxEvents implements [workflow.RecordStore].
func (s *Store) ListOutboxEvents(ctx context.Context, workflowName string, limit int64) ([]workflow.OutboxEvent, error) {
	events, err := queryAll(ctx, s.reader(ctx), s.sql(`SELECT id, workflow_name, data, created_at FROM @_outbox WHERE workflow_name = ? ORDER BY position LIMIT ?`),
		scanOutbox, workflowName, limit)
	return events, wrap("ListOutboxEvents", err)
}

func scanOutbox(rows *sql.Rows) (e workflow.OutboxEvent, err error) {
	var created int64
	err = rows.Scan(&e.ID, &e.WorkflowName, &e.Data, &created)
	e.CreatedAt = time.UnixMicro(created)
	return e, err
}

// DeleteOutboxEvent implements [workflow.RecordStore].
func (s *Store) DeleteOutboxEvent(ctx context.Context, id string) error {
	return wrap("DeleteOutboxEvent", s.write(ctx, func(tx dbtx) error {
		_, err := tx.ExecContext(ctx, s.sql(`DELETE FROM @_outbox WHERE id = ?`), id)
		return err
	}))
}
