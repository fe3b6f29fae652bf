package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// createRows makes a table of the caller's own.
func createRows(t testing.TB, db *sql.DB) {
	t.Helper()
	_, err := db.Exec(`CREATE TABLE app (n INTEGER PRIMARY KEY)`)
	require.NoError(t, err)
}

// appRows returns what is in that table.
func appRows(t testing.TB, db *sql.DB) (ns []int) {
	t.Helper()
	rows, err := db.Query(`SELECT n FROM app ORDER BY n`)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var n int
		require.NoError(t, rows.Scan(&n))
		ns = append(ns, n)
	}
	require.NoError(t, rows.Err())
	return ns
}

// insert writes a row of the caller's own.
func insert(tx *Tx, n int) error {
	_, err := tx.ExecContext(context.Background(), `INSERT INTO app VALUES (?)`, n)
	return err
}

// both writes a row and sends an event of that number.
func both(tx *Tx, n int) error {
	return errors.Join(insert(tx, n), tx.Send("orders", fmt.Sprint(n), n, nil))
}

// openRows opens a streamer on a database with a table of the caller's own.
func openRows(t testing.TB, opts ...Option) *Streamer {
	t.Helper()
	s := open(t, tempDB(t), opts...)
	createRows(t, s.db)
	return s
}

// sentTo returns the foreign IDs of the events of "orders".
func sentTo(t testing.TB, s *Streamer) (foreignIDs []string) {
	t.Helper()
	r := newReceiver(t, s, "orders", "sees all", memstreamer.Ephemeral())
	for range s.Stats().Topics[0].Retained {
		id, ack := recv(t, r)
		foreignIDs = append(foreignIDs, id)
		require.NoError(t, ack())
	}
	empty(t, r)
	require.NoError(t, r.Close())
	return foreignIDs
}

// TestInTx has functions succeed and fail in all the ways there are.
func TestInTx(t *testing.T) {
	s := openRows(t)
	boom := errors.New("boom")
	write := func(n int, err error) error {
		return s.InTx(t.Context(), func(tx *Tx) error {
			require.NoError(t, both(tx, n))
			return err
		})
	}
	require.NoError(t, write(1, nil))
	require.Equal(t, boom, write(2, boom))
	assert.PanicsWithValue(t, "f", func() {
		_ = s.InTx(t.Context(), func(tx *Tx) error {
			require.NoError(t, both(tx, 3))
			panic("f")
		})
	})
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = s.InTx(t.Context(), func(tx *Tx) error {
			assert.NoError(t, both(tx, 4))
			runtime.Goexit()
			return nil
		})
	}()
	<-exited
	require.ErrorContains(t, s.InTx(t.Context(), func(tx *Tx) error { return both(tx, 1) }), "UNIQUE")
	require.NoError(t, write(5, nil))
	require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error { return nil }))
	require.Equal(t, []int{1, 5}, appRows(t, s.db))
	assert.EqualValues(t, 2, s.Stats().Topics[0].LastID, "an ID was spent on one that failed")
	holds(t, s, "1", "5")
	holds(t, reopen(t, s), "1", "5")
}

// TestTxLeftOpen leaves open what can be.
func TestTxLeftOpen(t *testing.T) {
	s := openRows(t)
	require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error {
		require.NoError(t, both(tx, 1))
		rows, err := tx.QueryContext(t.Context(), `SELECT n FROM app`)
		require.NoError(t, err)
		require.True(t, rows.Next())
		tx.QueryRowContext(t.Context(), `SELECT n FROM app`)
		tx.QueryRowContext(t.Context(), `SELECT n FROM nowhere`)
		_, err = tx.PrepareContext(t.Context(), `SELECT n FROM app`)
		return err
	}))
	within(t, func() { holds(t, s, "1") })
}

// neighbours has two functions write in one transaction, with bad between them.
func neighbours(t *testing.T, s *Streamer, bad func(tx *Tx) error) (errs [3]error) {
	t.Helper()
	good := func(n int) func() error {
		return func() error { return s.InTx(t.Context(), func(tx *Tx) error { return both(tx, n) }) }
	}
	s.turn <- struct{}{} // which has them wait
	outcomes := start(t, s, good(11), func() error { return s.InTx(t.Context(), bad) }, good(13))
	<-s.turn
	for i, outcome := range outcomes {
		select {
		case errs[i] = <-outcome:
		case <-time.After(time.Minute):
			require.Fail(t, "they wait for each other")
		}
	}
	return errs
}

// TestInTxNeighbours has a function do what ends, or might end, the transaction that it
// shares.
func TestInTxNeighbours(t *testing.T) {
	exec := func(tx *Tx, query string) error {
		_, err := tx.ExecContext(context.Background(), query)
		return err
	}
	for name, test := range map[string]struct {
		bad  func(tx *Tx) error
		want string
	}{
		"a constraint": {func(tx *Tx) error { return both(tx, 1) }, "UNIQUE"},
		"OR ROLLBACK":  {func(tx *Tx) error { return exec(tx, `INSERT OR ROLLBACK INTO app VALUES (1)`) }, "UNIQUE"},
		"OR ROLLBACK, ignored": {func(tx *Tx) error {
			_ = exec(tx, `INSERT OR ROLLBACK INTO app VALUES (1)`)
			_ = insert(tx, 99)
			return nil
		}, "UNIQUE"},
		"COMMIT":                {func(tx *Tx) error { return exec(tx, ` ;commit`) }, "must not end the transaction"},
		"END":                   {func(tx *Tx) error { return exec(tx, `END TRANSACTION`) }, "must not end the transaction"},
		"ROLLBACK":              {func(tx *Tx) error { return exec(tx, `ROLLBACK TRANSACTION;`) }, "must not end the transaction"},
		"a deferred constraint": {func(tx *Tx) error { return exec(tx, `INSERT INTO child VALUES (99)`) }, "FOREIGN KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			s := openRows(t)
			_, err := s.db.Exec(`PRAGMA foreign_keys = ON; CREATE TABLE child (n REFERENCES app (n) DEFERRABLE INITIALLY DEFERRED); INSERT INTO app VALUES (1)`)
			require.NoError(t, err)
			errs := neighbours(t, s, test.bad)
			require.NoError(t, errs[0])
			require.ErrorContains(t, errs[1], test.want)
			require.NoError(t, errs[2])
			require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error { return both(tx, 14) }))
			require.Equal(t, []int{1, 11, 13, 14}, appRows(t, s.db))
			require.ElementsMatch(t, []string{"11", "13", "14"}, sentTo(t, s))
			require.ElementsMatch(t, []string{"11", "13", "14"}, sentTo(t, reopen(t, s)))
		})
	}
}

// TestNested has a function use its streamer other than by its Tx.
func TestNested(t *testing.T) {
	s := openRows(t)
	sendAs(t, s, "orders", "a")
	_, ack := recv(t, newReceiver(t, s, "orders", "name"))
	for name, use := range map[string]func() error{
		"Send":        func() error { return sendOne(context.Background(), s) },
		"InTx":        func() error { return s.InTx(context.Background(), func(*Tx) error { return nil }) },
		"Ack":         ack,
		"NewReceiver": func() error { _, err := s.NewReceiver(context.Background(), "orders", "new"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func() {
				assert.ErrorIs(t, s.InTx(t.Context(), func(tx *Tx) error { return use() }), errNested)
			})
		})
	}
	holds(t, s, "a")
}
