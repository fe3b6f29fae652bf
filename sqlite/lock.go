package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gofrs/flock"
)

// fileLock keeps other streamers from a database. The kernel releases it when its
// process ends. It is on a file beside the database's: whoever opens and closes
// that, other than SQLite, drops SQLite's own locks on it.
type fileLock struct {
	file *flock.Flock // nil for a database in memory, which nobody else can have
}

// newFileLock returns a lock for the database that conn is to.
func newFileLock(ctx context.Context, conn *sql.Conn, prefix string, pool int) (fileLock, error) {
	var path sql.NullString
	if err := conn.QueryRowContext(ctx, `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&path); err != nil {
		return fileLock{}, fmt.Errorf("is it a SQLite database? %w", err)
	}
	if path.String == "" {
		if pool != 1 {
			return fileLock{}, errors.New("a database in memory has as many copies as connections: call db.SetMaxOpenConns(1) first")
		}
		return fileLock{}, nil
	}
	// A driver's own file system may be in memory.
	if _, err := os.Stat(path.String); errors.Is(err, os.ErrNotExist) {
		return fileLock{}, nil
	}
	// SQLite's names have no case.
	return fileLock{flock.New(path.String + "-" + strings.ToLower(prefix) + ".lock")}, nil
}

// acquire takes the lock, which may be held already.
func (l fileLock) acquire() error {
	if l.file == nil {
		return nil
	}
	ok, err := l.file.TryLock()
	if err == nil && !ok {
		err = fmt.Errorf("%w: it holds the lock on %s", ErrInUse, l.file.Path())
	}
	return err
}

func (l fileLock) release() error {
	if l.file == nil {
		return nil
	}
	return l.file.Unlock()
}
