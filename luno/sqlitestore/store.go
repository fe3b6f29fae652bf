package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/luno/workflow"

	"github.com/memstreamer/memstreamer/sqlite"
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
	db       *sql.DB
	streamer *sqlite.Streamer // nil if there is an outbox
	prefix   string
	lookup   *sql.Stmt // the engine calls it twice a step
	latest   *sql.Stmt

	mu     sync.Mutex
	staged map[weak.Pointer[time.Location]][]func(*sqlite.Tx) error // see mark
}

var _ workflow.RecordStore = (*Store)(nil)

// New returns a store on db, in tables of its own, which it makes where there are none.
//
// With a streamer, which has to be on the database of db, Store commits a record together
// with its event, and the event can be received at once: build the workflow with
// [workflow.WithoutOutbox]. What a store without a streamer has left in the outbox is
// sent before New returns.
//
// With a nil streamer, there is an outbox, for the engine to send from to any streamer:
// see luno.ParkOutbox. Then db needs a busy_timeout if it has several connections, or if
// others write too.
//
// New fails with an error that names both versions for tables that a newer version of
// this package has made, and with one that says which if db or an option is nil or
// invalid, or if streamer is on another database.
//
// db stays the caller's, to be closed after the streamer. It may have a pool of one
// connection. The store has statements compiled for as long as db is open: one store of a
// prefix is enough for a db.
func New(ctx context.Context, db *sql.DB, streamer *sqlite.Streamer, opts ...Option) (*Store, error) {
	s := &Store{db: db, streamer: streamer, prefix: "workflow", staged: make(map[weak.Pointer[time.Location]][]func(*sqlite.Tx) error)}
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
	case file == "" && s.streamer != nil && s.streamer.DB() != s.db:
		return errors.New("the streamer is on another database in memory: give New the db of the streamer")
	}
	if s.streamer == nil {
		err = s.write(ctx, func(tx dbtx) error { return s.createTables(ctx, tx) })
	} else {
		err = s.streamer.InTx(ctx, func(tx *sqlite.Tx) error {
			its, err := fileOf(ctx, tx)
			if err != nil {
				return err
			}
			if its != file {
				return fmt.Errorf("the streamer is on another database, %q, and db is on %q: give both the same one", its, file)
			}
			if err := s.createTables(ctx, tx); err != nil {
				return err
			}
			return s.sendOutbox(ctx, tx)
		})
	}
	if err == nil {
		s.lookup, err = s.db.PrepareContext(ctx, s.sql(selectLookup))
	}
	if err == nil {
		s.latest, err = s.db.PrepareContext(ctx, s.sql(selectLatest))
	}
	return err
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
	if s.streamer == nil {
		return wrap("Store", s.write(ctx, func(tx dbtx) error {
			if err := s.put(ctx, tx, record); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, s.sql(`INSERT INTO @_outbox (id, workflow_name, data, created_at) VALUES (?, ?, ?, ?)`),
				data.ID, data.WorkflowName, data.Data, time.Now().UnixMicro())
			return err
		}))
	}
	e, err := decodeEvent(data.Data)
	if err != nil {
		return wrap("Store", err)
	}
	staged := s.stagedFor(record)
	return wrap("Store", s.inTx(ctx, func(tx *sqlite.Tx) error {
		if err := s.put(ctx, tx, record); err != nil {
			return err
		}
		for _, f := range staged {
			if err := f(tx); err != nil {
				return err
			}
		}
		return e.send(tx)
	}))
}

const (
	columns = `run_id, workflow_name, foreign_id, run_state, status, object, created_at, updated_at, run_state_reason, status_description, version, trace_origin`

	insertRecord = `INSERT INTO @_records (` + columns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (run_id) DO UPDATE SET run_state = excluded.run_state, status = excluded.status, object = excluded.object, updated_at = excluded.updated_at,
			run_state_reason = excluded.run_state_reason, status_description = excluded.status_description, version = excluded.version
		WHERE version = 0`
	selectLookup = `SELECT ` + columns + ` FROM @_records WHERE run_id = ?`
	selectLatest = `SELECT ` + columns + ` FROM @_records WHERE workflow_name = ? AND foreign_id = ? ORDER BY id DESC LIMIT 1`
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
	if version <= 1 {
		return fmt.Errorf("run %s has a record already", r.RunID)
	}
	return fmt.Errorf("the record of run %s is at another version than %d: another call has stored it since it was read", r.RunID, version-1)
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
	return s.one(ctx, "Lookup", s.lookup, selectLookup, runID)
}

// Latest implements [workflow.RecordStore]: it returns the record of the run that began
// last.
func (s *Store) Latest(ctx context.Context, workflowName, foreignID string) (*workflow.Record, error) {
	return s.one(ctx, "Latest", s.latest, selectLatest, workflowName, foreignID)
}

// one returns the record that stmt finds, or query in a transaction of ctx.
func (s *Store) one(ctx context.Context, method string, stmt *sql.Stmt, query string, args ...any) (*workflow.Record, error) {
	tx, err := s.txOf(ctx)
	if err != nil {
		return nil, wrap(method, err)
	}
	var row *sql.Row
	if tx != nil {
		row = tx.QueryRowContext(ctx, s.sql(query), args...)
	} else {
		row = stmt.QueryRowContext(ctx, args...)
	}
	r, err := scanRecord(row)
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
// where 0 stands for 25, as in the engine's own store, and less than that for no limit.
// Pages in ascending order stay as they are while runs begin.
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
	list, err := readAll(ctx, s, query+" LIMIT ? OFFSET ?", scan, append(args, limit, offset)...)
	return list, wrap("List", err)
}

// ListOutboxEvents implements [workflow.RecordStore]. With a streamer there are none: it
// parks until ctx is done, so that a workflow that was built without
// [workflow.WithoutOutbox] polls nothing either.
func (s *Store) ListOutboxEvents(ctx context.Context, workflowName string, limit int64) ([]workflow.OutboxEvent, error) {
	if s.streamer != nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	events, err := readAll(ctx, s, `SELECT id, workflow_name, data, created_at FROM @_outbox WHERE workflow_name = ? ORDER BY position LIMIT ?`,
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

// sendOutbox sends what is in the outbox.
func (s *Store) sendOutbox(ctx context.Context, tx *sqlite.Tx) error {
	events, err := queryAll(ctx, tx, s.sql(`SELECT id, workflow_name, data, created_at FROM @_outbox ORDER BY position`), scanOutbox)
	if err != nil || len(events) == 0 {
		return err
	}
	for _, e := range events {
		decoded, err := decodeEvent(e.Data)
		if err != nil {
			return fmt.Errorf("%w: it has the id %q in the table %s: delete it there if it is of no use", err, e.ID, s.sql("@_outbox"))
		}
		if err := decoded.send(tx); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, s.sql(`DELETE FROM @_outbox`))
	return err
}
