package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

var errBoom = errors.New("boom")

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
	write := func(n int, err error) error {
		return s.InTx(t.Context(), func(tx *Tx) error {
			require.NoError(t, both(tx, n))
			return err
		})
	}
	require.NoError(t, write(1, nil))
	require.Equal(t, errBoom, write(2, errBoom))
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
	outcomes := start(t, s, good(11), func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = p.(error)
			}
		}()
		return s.InTx(t.Context(), bad)
	}, good(13))
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
		"OR ROLLBACK, and an error of its own": {func(tx *Tx) error {
			_ = exec(tx, `INSERT OR ROLLBACK INTO app VALUES (1)`)
			return errBoom
		}, "boom"},
		"OR ROLLBACK of a query, ignored": {func(tx *Tx) error {
			_ = tx.QueryRowContext(context.Background(), `INSERT OR ROLLBACK INTO app VALUES (1) RETURNING n`).Scan(new(int))
			_ = insert(tx, 99)
			return nil
		}, ""},
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
			require.Error(t, errs[1])
			require.ErrorContains(t, errs[1], test.want) // drivers differ where it is empty
			require.True(t, test.want != "boom" || errs[1] == errBoom, "as it is")
			require.NoError(t, errs[2])
			require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error { return both(tx, 14) }))
			require.Equal(t, []int{1, 11, 13, 14}, appRows(t, s.db))
			require.ElementsMatch(t, []string{"11", "13", "14"}, sentTo(t, s))
			require.ElementsMatch(t, []string{"11", "13", "14"}, sentTo(t, reopen(t, s)))
		})
	}
}

// TestEnds reads what would end a transaction, and what would not.
func TestEnds(t *testing.T) {
	for query, want := range map[string]bool{
		"COMMIT":                                  true,
		" ;commit transaction;":                   true,
		"END":                                     true,
		"end transaction":                         true,
		"ROLLBACK":                                true,
		"rollback  TRANSACTION ;":                 true,
		"-- name: Commit :exec\nCOMMIT":           true,
		"/* here\n */ -- and here\n\tROLLBACK\n":  true,
		"INSERT INTO app VALUES (1); COMMIT":      true,
		"INSERT INTO app VALUES (1);\n-- a\nEND;": true,
		"/* a; b */ COMMIT":                       true,
		"-- a; b\nCOMMIT":                         true,
		"SELECT 'trigger'; END":                   true,
		"\uFEFFCOMMIT":                            true,
		"ROLLBACK -- now":                         true,
		"ROLLBACK /* now */":                      true,
		"/**/ROLLBACK/**/TRANSACTION":             true,
		"SELECT `a`, [b;], \"c;\"; COMMIT":        true,
		"CREATE TABLE trigger (n); END":           true,
		"CREATE TRIGGER a AFTER INSERT ON app BEGIN SELECT 1; END; COMMIT":                     true,
		"CREATE TEMP TRIGGER a AFTER INSERT ON app BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; END": false,
		"INSERT INTO app VALUES ('first; end of day', 'it''s; END', 'a;commitment')":           false,
		"INSERT INTO app VALUES (1) -- so; ending":                                             false,
		"SELECT 1 /* COMMIT":                     false,
		"SELECT 1 AS commit; -- END":             false,
		"commitment":                             false,
		"":                                       false,
		"INSERT INTO app VALUES ('a; b')":        false,
		"ROLLBACK TO own":                        false,
		"ROLLBACK TRANSACTION TO SAVEPOINT own;": false,
		"SAVEPOINT own; RELEASE own":             false,
		"-- COMMIT\nSELECT 1":                    false,
		"CREATE TRIGGER a AFTER INSERT ON app BEGIN UPDATE app SET n = 1; END;": false,
	} {
		require.Equal(t, want, ends(query), query)
	}
}

// TestSlowFunctions has functions that take longer than a transaction takes calls: none
// waits for another's.
func TestSlowFunctions(t *testing.T) {
	s := openRows(t)
	var mu sync.Mutex
	var shared []*transaction
	slow := func() error {
		return s.InTx(context.Background(), func(tx *Tx) error {
			mu.Lock()
			shared = append(shared, tx.shared)
			mu.Unlock()
			time.Sleep(2 * maxTaking)
			return nil
		})
	}
	s.turn <- struct{}{} // which has them wait
	errs := start(t, s, slow, slow, slow, slow)
	<-s.turn
	for _, err := range errs {
		require.NoError(t, <-err)
	}
	slices.SortFunc(shared, func(a, b *transaction) int { return a.began.Compare(b.began) })
	require.Len(t, slices.Compact(shared), len(errs))

	// Nor do those that wait for a transaction that has just begun.
	tx := newTransaction()
	tx.began = time.Now().Add(time.Hour)
	send, inTx := &op{kind: opSend}, &op{kind: opInTx}
	s.queue = []*op{send, inTx, send, inTx, inTx}
	for _, want := range [][]*op{{send, inTx}, {send, inTx}, {inTx}, {}} {
		require.Equal(t, want, s.take(tx))
	}
}

// TestNested has a function use its streamer other than by its Tx.
func TestNested(t *testing.T) {
	s := openRows(t)
	sendAs(t, s, "orders", "a")
	_, ack := recv(t, newReceiver(t, s, "orders", "name"))
	for name, use := range map[string]func() error{
		"Close":       s.Close,
		"Forget":      func() error { return s.Forget(context.Background(), "orders", "nobody") },
		"Send":        func() error { return sendOne(context.Background(), s) },
		"InTx":        func() error { return s.InTx(context.Background(), func(*Tx) error { return nil }) },
		"Ack":         ack,
		"NewReceiver": func() error { _, err := s.NewReceiver(context.Background(), "orders", "new"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func() {
				assert.ErrorIs(t, s.InTx(t.Context(), func(tx *Tx) error { return use() }), errNested)
				assert.ErrorIs(t, s.InTx(t.Context(), func(tx *Tx) error { return below(200, use) }), errNested)
			})
		})
	}
	holds(t, s, "a")
}

// below calls f that many frames further down.
func below(frames int, f func() error) error {
	if frames == 0 {
		return f()
	}
	return errors.Join(below(frames-1, f))
}

// TestNestedInAnother has a function use another streamer, whose own function runs on
// another goroutine meanwhile.
func TestNestedInAnother(t *testing.T) {
	a, b := openRows(t), openRows(t)
	running, goOn := make(chan struct{}), make(chan struct{})
	other := make(chan error, 1)
	go func() {
		other <- b.InTx(context.Background(), func(tx *Tx) error {
			close(running)
			<-goOn
			return both(tx, 1)
		})
	}()
	<-running
	require.NoError(t, a.InTx(t.Context(), func(tx *Tx) error {
		sent := start(t, b, func() error { return sendOne(context.Background(), b) })
		require.False(t, b.nested())
		close(goOn)
		return <-sent[0]
	}))
	require.NoError(t, <-other)
	require.ElementsMatch(t, []string{"1", "order-1001"}, sentTo(t, b))
}

// TestInTxFaults has each statement of an InTx fail, with a row alone in it and with an
// event too. The caller's rows and the events are there, or neither, and the function is
// not called again once a COMMIT has been tried.
func TestInTxFaults(t *testing.T) {
	type faulty = func() []fault
	the := func(at string, n int64, how func() error) faulty {
		return func() []fault { return []fault{when(at, n, how)} }
	}
	unknown := func(at string) faulty {
		return func() []fault { return []fault{when(at, 1, fails), when("before SELECT", 1, fails)} }
	}
	for name, test := range map[string]struct {
		faults  faulty
		written bool // InTx succeeds
		kept    bool // what the function has written is there
		calls   int
	}{
		"no fault":                       {func() []fault { return nil }, true, true, 1},
		"SAVEPOINT":                      {the("before SAVEPOINT", 1, fails), false, false, 0},
		"RELEASE":                        {the("before RELEASE", 1, fails), true, true, 2},
		"RELEASE, again":                 {the("before RELEASE", 2, fails), false, false, 2},
		"RELEASE, after":                 {the("after RELEASE", 2, fails), false, false, 2},
		"COMMIT that did not happen":     {the("before COMMIT", 1, fails), false, false, 1},
		"COMMIT that did happen":         {the("after COMMIT", 1, fails), true, true, 1},
		"COMMIT that another was at":     {the("before COMMIT", 5, locked), true, true, 1},
		"unknown, and it did not happen": {unknown("before COMMIT"), false, false, 1},
		"unknown, and it did happen":     {unknown("after COMMIT"), false, true, 1},
		"a panic of COMMIT, before":      {the("before COMMIT", 1, panics), false, false, 1},
		"a panic of COMMIT, after":       {the("after COMMIT", 1, panics), false, true, 1},
		"a panic of SAVEPOINT":           {the("before SAVEPOINT", 1, panics), false, false, 0},
		"a panic of RELEASE":             {the("after RELEASE", 1, panics), false, false, 1},
		"a panic of its own statement":   {the("after INSERT INTO app", 1, panics), false, false, 1},
	} {
		for _, event := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", event ", event), func(t *testing.T) {
				s, faults := openFaulty(t)
				createRows(t, s.db)
				faults.set(test.faults()...)
				calls, committed := 0, false
				err := errors.New("it panicked")
				func() {
					defer func() { _ = recover() }()
					err = s.InTx(t.Context(), func(tx *Tx) error {
						calls++
						tx.OnCommit(func() { committed = true })
						if event {
							return both(tx, 1)
						}
						return insert(tx, 1)
					})
				}()
				assert.Equal(t, test.written, err == nil, err)
				assert.Equal(t, test.written, committed)
				assert.Equal(t, test.calls, calls)
				faults.set()
				sendAs(t, s, "parcels", "p") // which looks up what is unknown
				var wantRows []int
				var wantEvents []string
				if test.kept {
					wantRows = []int{1}
				}
				if test.kept && event {
					wantEvents = []string{"1"}
				}
				require.Equal(t, wantRows, appRows(t, s.db))
				holds(t, s, wantEvents...)
				want := kept(s)
				require.Equal(t, want, kept(reopen(t, s)))
			})
		}
	}
}

// TestMarkFails has the statement fail by which a COMMIT could be looked up.
func TestMarkFails(t *testing.T) {
	s, faults := openFaulty(t)
	createRows(t, s.db)
	faults.set(when("before REPLACE", 1, fails))
	require.ErrorIs(t, s.InTx(t.Context(), func(tx *Tx) error { return insert(tx, 1) }), errInjected)
	require.Empty(t, appRows(t, s.db))
	require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error { return insert(tx, 1) }))
	require.Equal(t, []int{1}, appRows(t, s.db))
}

// TestInTxNeighboursFail has the transaction fail that functions share.
func TestInTxNeighboursFail(t *testing.T) {
	for name, test := range map[string]struct {
		faults []fault
		kept   bool
		calls  int32 // of three functions
	}{
		"RELEASE":                    {[]fault{when("before RELEASE", 2, fails)}, true, 5},
		"SAVEPOINT":                  {[]fault{skip(1, when("before SAVEPOINT", 2, fails))}, true, 4},
		"COMMIT that did not happen": {[]fault{when("before COMMIT", 1, fails)}, true, 6},
		"COMMIT that did happen":     {[]fault{when("after COMMIT", 1, fails)}, true, 3},
		"unknown":                    {[]fault{when("after COMMIT", 1, fails), when("before SELECT", 1, fails)}, true, 3},
		"a panic":                    {[]fault{when("before COMMIT", 1, panics)}, false, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s, faults := openFaulty(t)
			createRows(t, s.db)
			var calls atomic.Int32
			var all []func() error
			for n := range 3 {
				all = append(all, func() (err error) {
					defer func() {
						if p := recover(); p != nil {
							err = fmt.Errorf("panic: %v", p)
						}
					}()
					return s.InTx(context.Background(), func(tx *Tx) error {
						calls.Add(1)
						return both(tx, n)
					})
				})
			}
			s.turn <- struct{}{} // which has them wait
			outcomes := start(t, s, all...)
			faults.set(test.faults...)
			<-s.turn
			for _, outcome := range outcomes {
				err := <-outcome
				if name == "unknown" {
					require.ErrorContains(t, err, "outcome of a COMMIT is unknown")
				} else {
					require.Equal(t, test.kept, err == nil, err)
				}
			}
			require.Equal(t, test.calls, calls.Load())
			faults.set()
			sendAs(t, s, "parcels", "p")
			var want []string
			for _, n := range appRows(t, s.db) {
				want = append(want, fmt.Sprint(n))
			}
			require.Equal(t, test.kept, len(want) == 3)
			if test.kept {
				require.ElementsMatch(t, want, sentTo(t, s))
			}
			stats := kept(s)
			require.Equal(t, stats, kept(reopen(t, s)))
		})
	}
}

// TestInTxAgainAlone has a Send lead while an InTx waits to be called again: that is not
// written with the Send, whatever its fault.
func TestInTxAgainAlone(t *testing.T) {
	s, faults := openFaulty(t)
	createRows(t, s.db)
	var sent chan error
	faults.set(when("before RELEASE", 2, fails), when("before ROLLBACK", 1, func() error {
		sent = start(t, s, func() error { return sendOne(context.Background(), s) })[0]
		time.Sleep(10 * time.Millisecond) // by then it waits for the turn
		return nil
	}))
	calls := 0
	require.ErrorIs(t, s.InTx(t.Context(), func(tx *Tx) error {
		calls++
		return both(tx, 1)
	}), errInjected)
	require.Equal(t, 2, calls)
	require.NoError(t, <-sent)
	require.Empty(t, appRows(t, s.db))
	holds(t, s, "order-1001")
}

// TestInTxFailsBesideAFailure has a function fail, and then the transaction that it has
// shared: it is over, and its neighbour is called again.
func TestInTxFailsBesideAFailure(t *testing.T) {
	s, faults := openFaulty(t)
	createRows(t, s.db)
	s.turn <- struct{}{} // which has them wait
	errs := start(t, s, func() error {
		return s.InTx(context.Background(), func(tx *Tx) error { return errBoom })
	}, func() error {
		return s.InTx(context.Background(), func(tx *Tx) error { return both(tx, 1) })
	})
	faults.set(when("before COMMIT", 1, fails))
	<-s.turn
	require.Equal(t, errBoom, <-errs[0])
	require.NoError(t, <-errs[1])
	require.Zero(t, s.waiting())
	holds(t, s, "1")
}

// TestInTxUnwindsAfterRollback has a function panic for which SQLite has rolled back the
// transaction: nobody waits for it any more.
func TestInTxUnwindsAfterRollback(t *testing.T) {
	s := openRows(t)
	require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error { return insert(tx, 1) }))
	errs := neighbours(t, s, func(tx *Tx) error {
		_, err := tx.ExecContext(context.Background(), `INSERT OR ROLLBACK INTO app VALUES (1)`)
		assert.Error(t, err)
		panic(errBoom)
	})
	require.Equal(t, [3]error{nil, errBoom, nil}, errs)
	require.Zero(t, s.waiting())
	require.Equal(t, []int{1, 11, 13}, appRows(t, s.db))
}

// TestInTxTogether has 16 callers on one processor, which wait together once: those that
// were told together call again together.
func TestInTxTogether(t *testing.T) {
	const callers, each = 16, 25
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s, faults := openFaulty(t)
	createRows(t, s.db)
	var commits atomic.Int64
	faults.set(counts(&commits))
	var calls []func() error
	for caller := range callers {
		calls = append(calls, func() (err error) {
			for n := range each {
				err = errors.Join(err, s.InTx(context.Background(), func(tx *Tx) error { return both(tx, caller*each+n) }))
			}
			return err
		})
	}
	together(t, s, calls...)
	t.Logf("%d calls in %d commits", callers*each, commits.Load())
	require.Less(t, commits.Load(), int64(callers*each/4))
}

// TestOnCommit sees what functions are called, when, and in which order.
func TestOnCommit(t *testing.T) {
	s := openRows(t)
	var called []string
	on := func(tx *Tx, what string) {
		tx.OnCommit(func() {
			called = append(called, what)
			require.NoError(t, sendOne(t.Context(), s))
		})
	}
	require.Equal(t, errBoom, s.InTx(t.Context(), func(tx *Tx) error {
		on(tx, "failed")
		return errBoom
	}))
	require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error {
		on(tx, "first")
		on(tx, "second")
		require.Empty(t, called)
		return tx.Send("orders", "0", 0, nil)
	}))
	require.Equal(t, []string{"first", "second"}, called)
	holds(t, s, "0", "order-1001", "order-1001")
}

// TestErrTxDone uses a Tx whose function has returned.
func TestErrTxDone(t *testing.T) {
	s := openRows(t)
	var kept *Tx
	require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error {
		kept = tx
		return nil
	}))
	require.ErrorIs(t, kept.Send("orders", "a", 1, nil), ErrTxDone)
	require.ErrorIs(t, kept.Ack("orders", "name", 1), ErrTxDone)
	require.ErrorIs(t, insert(kept, 1), ErrTxDone)
	_, err := kept.QueryContext(t.Context(), `SELECT 1`)
	require.ErrorIs(t, err, ErrTxDone)
	require.ErrorIs(t, kept.QueryRowContext(t.Context(), `SELECT 1`).Scan(new(int)), ErrTxDone)
	_, err = kept.PrepareContext(t.Context(), `SELECT 1`)
	require.ErrorIs(t, err, ErrTxDone)
}

// TestTxStatements uses each of the methods that take SQL.
func TestTxStatements(t *testing.T) {
	s := openRows(t)
	require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error {
		stmt, err := tx.PrepareContext(t.Context(), `INSERT INTO app VALUES (?)`)
		require.NoError(t, err)
		for n := range 3 {
			_, err := stmt.Exec(n)
			require.NoError(t, err)
		}
		rows, err := tx.QueryContext(t.Context(), `SELECT n FROM app ORDER BY n`)
		require.NoError(t, err)
		for want := range 3 {
			var n int
			require.True(t, rows.Next())
			require.NoError(t, rows.Scan(&n))
			require.Equal(t, want, n)
		}
		var count int
		require.NoError(t, tx.QueryRowContext(t.Context(), `SELECT count(*) FROM app`).Scan(&count))
		require.Equal(t, 3, count)
		require.ErrorIs(t, tx.QueryRowContext(t.Context(), `SELECT 1 WHERE 0`).Scan(&count), sql.ErrNoRows)
		_, err = tx.ExecContext(t.Context(), `SAVEPOINT own; INSERT INTO app VALUES (9); `)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), `ROLLBACK TO own`)
		return err
	}))
	require.Equal(t, []int{0, 1, 2}, appRows(t, s.db))
}

// slow takes longer than anything here waits for.
const slow = `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000) INSERT INTO app SELECT n FROM c`

// TestInTxContexts ends contexts before, while and after a function runs.
func TestInTxContexts(t *testing.T) {
	s := openRows(t)
	ctx, cancel := context.WithCancel(t.Context())
	release := hold(t, s.db)
	waits := start(t, s, func() error { return s.InTx(ctx, func(*Tx) error { panic("called") }) })
	cancel()
	require.ErrorIs(t, <-waits[0], context.Canceled)
	require.Equal(t, context.Canceled, s.InTx(ctx, func(*Tx) error { panic("called") }))
	release()

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, s.InTx(ctx, func(tx *Tx) error {
		later, stop := context.WithTimeout(ctx, time.Millisecond)
		defer stop()
		_, err := tx.ExecContext(later, slow)
		require.NoError(t, err, "it has begun")
		<-later.Done()
		_, err = tx.ExecContext(later, `DELETE FROM app`)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		cancel()
		return tx.Send("orders", "a", 1, nil)
	}))
	require.Len(t, appRows(t, s.db), 200_000)
	holds(t, s, "a")
}

// TestInTxContextBesideAnother ends the context of an InTx while a neighbour's function
// runs, before its own is called.
func TestInTxContextBesideAnother(t *testing.T) {
	s := openRows(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.turn <- struct{}{} // which has them wait
	errs := start(t, s, func() error {
		return s.InTx(context.Background(), func(tx *Tx) error { return both(tx, 1) })
	}, func() error {
		return s.InTx(context.Background(), func(tx *Tx) error {
			cancel()
			return both(tx, 2)
		})
	}, func() error { return s.InTx(ctx, func(tx *Tx) error { return both(tx, 3) }) })
	<-s.turn
	require.NoError(t, <-errs[0])
	require.NoError(t, <-errs[1])
	require.Equal(t, context.Canceled, <-errs[2])
	require.Equal(t, []int{1, 2}, appRows(t, s.db))
	require.ElementsMatch(t, []string{"1", "2"}, sentTo(t, s))
}

// TestInTxAsItCloses closes the streamer while a function runs, and others wait.
func TestInTxAsItCloses(t *testing.T) {
	for _, want := range []error{nil, context.Canceled} {
		s := openRows(t)
		running, goOn := make(chan struct{}), make(chan struct{})
		runs, closed := make(chan error, 1), make(chan error, 1)
		go func() {
			runs <- s.InTx(context.Background(), func(tx *Tx) error {
				close(running)
				<-goOn
				return cmp.Or(want, both(tx, 1))
			})
		}()
		<-running
		waits := start(t, s, func() error { return s.InTx(context.Background(), func(tx *Tx) error { return both(tx, 2) }) })
		go func() { closed <- s.Close() }()
		require.ErrorIs(t, <-waits[0], memstreamer.ErrClosed)
		close(goOn)
		require.Equal(t, want, <-runs, "as it is")
		require.NoError(t, <-closed)
		require.ErrorIs(t, s.InTx(context.Background(), func(tx *Tx) error { return nil }), memstreamer.ErrClosed)
		if want == nil {
			holds(t, open(t, s.db), "1")
		} else {
			require.Empty(t, appRows(t, s.db))
		}
	}
}

// TestTxAck has two receivers get an event, and each want to have its effect.
func TestTxAck(t *testing.T) {
	for name, write := range map[string]func(s *Streamer, calls ...func() error) []error{
		"one after the other": func(s *Streamer, calls ...func() error) (errs []error) {
			for _, call := range calls {
				errs = append(errs, call())
			}
			return errs
		},
		"in one transaction": func(s *Streamer, calls ...func() error) (errs []error) {
			s.turn <- struct{}{} // which has them wait
			outcomes := start(t, s, calls...)
			<-s.turn
			for _, outcome := range outcomes {
				errs = append(errs, <-outcome)
			}
			return errs
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openRows(t)
			sendAs(t, s, "orders", "a", "b", "c")
			r := newReceiver(t, s, "orders", "name")
			ack := func(n int, ids ...int64) func() error {
				return func() error {
					return s.InTx(context.Background(), func(tx *Tx) error {
						for _, id := range ids {
							if err := tx.Ack("orders", "name", id); err != nil {
								return err
							}
						}
						return both(tx, n)
					})
				}
			}
			errs := write(s, ack(1, 1), ack(2, 1), ack(3, 2, 2), ack(4, 2))
			require.NoError(t, errs[0])
			require.ErrorIs(t, errs[1], ErrAcked)
			require.ErrorIs(t, errs[2], ErrAcked)
			require.NoError(t, errs[3])
			require.Equal(t, []int{1, 4}, appRows(t, s.db))
			take(t, r, "c")
			require.ErrorIs(t, ack(5, 3)(), ErrAcked, "it was acked by its Ack")
			require.ErrorContains(t, ack(5, 100)(), "there is no such event")
			r = newReceiver(t, reopen(t, s), "orders", "name")
			take(t, r, "1", "4")
			empty(t, r)
		})
	}
	s := openRows(t)
	require.ErrorContains(t, s.InTx(t.Context(), func(tx *Tx) error { return tx.Ack("orders", "nobody", 1) }), `topic "orders", name "nobody", event 1: there is no such consumer`)
}

// TestTxSend sends what is easy to get wrong.
func TestTxSend(t *testing.T) {
	s := openRows(t)
	headers := map[memstreamer.Header]string{memstreamer.HeaderTopic: "orders", "run_id": "1"}
	require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error {
		require.ErrorContains(t, tx.Send("", "a", 1, nil), "topic is empty")
		require.NoError(t, tx.Send("", "a", 1, headers))
		headers["run_id"] = "2"
		return tx.Send("parcels", "b", 2, headers)
	}))
	r := newReceiver(t, s, "orders", "name")
	for _, want := range []memstreamer.Event{
		{ID: 1, ForeignID: "a", Type: 1, Headers: map[memstreamer.Header]string{memstreamer.HeaderTopic: "orders", "run_id": "1"}},
		{ID: 2, ForeignID: "b", Type: 2, Headers: headers},
	} {
		e, ack, err := r.Recv(t.Context())
		require.NoError(t, err)
		require.NoError(t, ack())
		want.CreatedAt = e.CreatedAt
		require.Equal(t, want, *e)
	}
	require.ErrorContains(t, s.InTx(t.Context(), nil), "f is nil")
}

// TestRowsAlone has functions write no event and no ack: the cursor of no consumer by
// which a COMMIT is looked up is not one of the streamer's. It is not written where there
// is an event.
func TestRowsAlone(t *testing.T) {
	s, faults := openFaulty(t)
	createRows(t, s.db)
	var marks atomic.Int64
	faults.set(when("before REPLACE", math.MaxInt64, func() error {
		marks.Add(1)
		return nil
	}))
	for n := range 3 {
		require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error { return insert(tx, n) }))
	}
	require.Equal(t, 1, rows(t, s, "cursors"))
	s = reopen(t, s)
	require.Empty(t, s.Stats().Receivers)
	require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error { return both(tx, 4) }))
	require.EqualValues(t, 1, s.Stats().Topics[0].LastID)
	require.EqualValues(t, 3, marks.Load())
}

// TestInTxOfMany has a function send more events than a statement of SQLite takes rows.
func TestInTxOfMany(t *testing.T) {
	s := openRows(t)
	const n = 6000
	require.NoError(t, s.InTx(t.Context(), func(tx *Tx) error {
		for i := range n {
			if err := tx.Send("orders", fmt.Sprint(i), i, nil); err != nil {
				return err
			}
		}
		return nil
	}))
	sent := sentTo(t, reopen(t, s))
	require.Len(t, sent, n)
	require.Equal(t, "0", sent[0])
	require.Equal(t, fmt.Sprint(n-1), sent[n-1])
}
