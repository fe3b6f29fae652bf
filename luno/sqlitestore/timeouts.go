package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/luno/workflow"
)

// Timeouts returns a store of timeouts in a table beside the records, for
// [workflow.WithTimeoutStore]. It is safe for concurrent use.
func (s *Store) Timeouts() workflow.TimeoutStore { return timeouts{s} }

type timeouts struct{ store *Store }

// Create implements [workflow.TimeoutStore].
func (t timeouts) Create(ctx context.Context, workflowName, foreignID, runID string, status int, expireAt time.Time) error {
	return t.exec(ctx, "Create", `INSERT INTO @_timeouts (workflow_name, foreign_id, run_id, status, expire_at, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		workflowName, foreignID, runID, status, expireAt.UnixMicro(), time.Now().UnixMicro())
}

// Complete implements [workflow.TimeoutStore].
func (t timeouts) Complete(ctx context.Context, id int64) error {
	return t.exec(ctx, "Complete", `UPDATE @_timeouts SET completed = 1 WHERE id = ?`, id)
}

// Cancel implements [workflow.TimeoutStore].
func (t timeouts) Cancel(ctx context.Context, id int64) error {
	return t.exec(ctx, "Cancel", `DELETE FROM @_timeouts WHERE id = ?`, id)
}

func (t timeouts) exec(ctx context.Context, method, statement string, args ...any) error {
	return wrap(method, t.store.write(ctx, func(tx dbtx) error {
		_, err := tx.ExecContext(ctx, t.store.sql(statement), args...)
		return err
	}))
}

// List implements [workflow.TimeoutStore].
func (t timeouts) List(ctx context.Context, workflowName string) ([]workflow.TimeoutRecord, error) {
	return t.list(ctx, "List", `workflow_name = ?`, workflowName)
}

// ListValid implements [workflow.TimeoutStore]: those that have expired by now, and are
// not completed.
func (t timeouts) ListValid(ctx context.Context, workflowName string, status int, now time.Time) ([]workflow.TimeoutRecord, error) {
	return t.list(ctx, "ListValid", `workflow_name = ? AND status = ? AND completed = 0 AND expire_at <= ?`,
		workflowName, status, now.UnixMicro())
}

func (t timeouts) list(ctx context.Context, method, where string, args ...any) ([]workflow.TimeoutRecord, error) {
	list, err := readAll(ctx, t.store, `SELECT id, workflow_name, foreign_id, run_id, status, completed, expire_at, created_at
		FROM @_timeouts WHERE `+where+` ORDER BY id`, scanTimeout, args...)
	return list, wrap(method, err)
}

func scanTimeout(rows *sql.Rows) (r workflow.TimeoutRecord, err error) {
	var expire, created int64
	err = rows.Scan(&r.ID, &r.WorkflowName, &r.ForeignID, &r.RunID, &r.Status, &r.Completed, &expire, &created)
	r.ExpireAt, r.CreatedAt = time.UnixMicro(expire), time.UnixMicro(created)
	return r, err
}
