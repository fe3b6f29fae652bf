package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkInTx compares InTx of a row and an event with a bare sql.Tx of the row alone,
// in turns, each on a database of its own (WAL, NORMAL, a pool of one). It reports the
// medians of a call's time and the ratio of the two:
//
//	go test -run - -bench InTx -benchtime 20x .
func BenchmarkInTx(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			inTurns(b, callers, "sql.Tx", func(db *sql.DB) func(n int) error {
				return func(n int) error {
					tx, err := db.Begin()
					if err != nil {
						return err
					}
					_, err = tx.Exec(`INSERT INTO app VALUES (?)`, n)
					return errors.Join(err, tx.Commit())
				}
			}, "InTx", func(db *sql.DB) func(n int) error {
				s := open(b, db)
				return func(n int) error {
					return s.InTx(context.Background(), func(tx *Tx) error { return both(tx, n) })
				}
			})
		})
	}
}

// BenchmarkCompiled compares statements that database/sql has compiled for each use, as
// the streamer does, with one that it keeps for a sql.Tx: see execRows.
//
//	go test -run - -bench Compiled -benchtime 20x .
func BenchmarkCompiled(b *testing.B) {
	const insert = `INSERT INTO app VALUES (?)`
	inTurns(b, 1, "each", func(db *sql.DB) func(n int) error {
		return func(n int) error {
			ctx := context.Background()
			conn, err := db.Conn(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			if err := execute(conn, `BEGIN IMMEDIATE`); err != nil {
				return err
			}
			_, err = conn.ExecContext(ctx, insert, n)
			return errors.Join(err, execute(conn, `COMMIT`))
		}
	}, "kept", func(db *sql.DB) func(n int) error {
		stmt, err := db.Prepare(insert)
		require.NoError(b, err)
		b.Cleanup(func() { _ = stmt.Close() })
		return func(n int) error {
			tx, err := db.Begin()
			if err != nil {
				return err
			}
			_, err = tx.Stmt(stmt).Exec(n)
			return errors.Join(err, tx.Commit())
		}
	})
}

// inTurns measures two ways to write, in turns of a thousand calls.
func inTurns(b *testing.B, callers int, name1 string, way1 func(*sql.DB) func(n int) error, name2 string, way2 func(*sql.DB) func(n int) error) {
	const calls = 1000
	var next atomic.Int64
	measure := func(way func(*sql.DB) func(n int) error) func() time.Duration {
		db := tempDB(b)
		createRows(b, db)
		call := way(db)
		return func() time.Duration {
			errs := make([]error, callers)
			last := next.Load() + calls
			var calling sync.WaitGroup
			started := time.Now()
			for i := range callers {
				calling.Go(func() {
					for n := next.Add(1); n <= last && errs[i] == nil; n = next.Add(1) {
						errs[i] = call(int(n))
					}
				})
			}
			calling.Wait()
			took := time.Since(started)
			require.NoError(b, errors.Join(errs...))
			return took / calls
		}
	}
	turn1, turn2 := measure(way1), measure(way2)
	var all1, all2 []time.Duration
	for b.Loop() {
		all1, all2 = append(all1, turn1()), append(all2, turn2())
	}
	median := func(all []time.Duration) float64 {
		slices.Sort(all)
		return float64(all[len(all)/2])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(all1)/1000, "us/"+name1)
	b.ReportMetric(median(all2)/1000, "us/"+name2)
	b.ReportMetric(median(all2)/median(all1), name2+"/"+name1)
}
