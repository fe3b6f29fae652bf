package engine

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/lab/internal/subprocess"
	"github.com/memstreamer/memstreamer/luno"
	"github.com/memstreamer/memstreamer/luno/sqlitestore"
	"github.com/memstreamer/memstreamer/sqlite"
)

var kills = flag.Int("kills", 30, "how often TestKill kills the engine")

const (
	// The environment of a test binary that is to be the engine: the database's file, and
	// whether it should place no orders, and end once all runs have.
	killFile   = "MEMSTREAMER_KILL_FILE"
	killFinish = "MEMSTREAMER_KILL_FINISH"

	killSteps = 4
	killRuns  = 40 // under way at a time, at most

	// killRetention is longer than a start takes until it opens its receivers.
	killRetention = 3 * time.Second
)

// killTables has a log of all events ever committed. No table has a key by which a row that
// is written twice would be dropped.
const killTables = `
CREATE TABLE IF NOT EXISTS orders (n INTEGER);
CREATE TABLE IF NOT EXISTS written (run TEXT, step INTEGER);
CREATE TABLE IF NOT EXISTS tries (run TEXT, step INTEGER);
CREATE TABLE IF NOT EXISTS sent (run TEXT, version INTEGER);
CREATE TRIGGER IF NOT EXISTS log_sent AFTER INSERT ON memstreamer_events BEGIN
	INSERT INTO sent VALUES (NEW.headers->>'run_id', NEW.headers->>'record_version');
END`

// TestKill kills an engine on one file at random, again and again, whose steps stage
// writes and fail, pause and repeat, whose runs are triggered in transactions, whose
// retention drops events, and beside which another connection writes. In the end every run
// has ended, with each row and each event there once, and what was committed is there.
func TestKill(t *testing.T) {
	file := filepath.Join(t.TempDir(), "test.db")
	placed := make(map[int]bool)
	for range *kills {
		killEngine(t, file, time.Duration(50+rand.IntN(400))*time.Millisecond, placed)
	}
	killEngine(t, file, 0, placed)

	db, err := sql.Open("sqlite", "file:"+file)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	count := func(query string) (n int) {
		require.NoError(t, db.QueryRow(query).Scan(&n))
		return n
	}
	var ok string
	require.NoError(t, db.QueryRow(`PRAGMA integrity_check`).Scan(&ok))
	require.Equal(t, "ok", ok)

	orders := count(`SELECT count(*) FROM orders`)
	t.Logf("%d runs, %d steps of which were tried %d times, %d events sent and %d kept", orders, orders*killSteps,
		count(`SELECT count(*) FROM tries`), count(`SELECT count(*) FROM sent`), count(`SELECT count(*) FROM memstreamer_events`))
	require.NotZero(t, orders)
	for n := range placed {
		require.Equal(t, 1, count(fmt.Sprintf(`SELECT count(*) FROM orders WHERE n = %d`, n)), "order %d was committed", n)
	}
	// Each order has one run, which has ended.
	require.Equal(t, orders, count(`SELECT count(*) FROM workflow_records WHERE run_state = 5`))
	require.Equal(t, orders, count(`SELECT count(*) FROM workflow_records r JOIN orders o ON r.foreign_id = o.n`))
	// Each step has one row, but for the third, which is repeated, and has two.
	require.Zero(t, count(`SELECT count(*) FROM (SELECT 1 FROM written GROUP BY run, step HAVING count(*) <> iif(step = 3, 2, 1))`))
	require.Equal(t, orders*(killSteps+1), count(`SELECT count(*) FROM written`))
	// Each version of each record has one event.
	require.Zero(t, count(`SELECT count(*) FROM (SELECT 1 FROM sent GROUP BY run, version HAVING count(*) <> 1)`))
	require.Equal(t, count(`SELECT sum(version) FROM workflow_records`), count(`SELECT count(*) FROM sent`))
	require.Zero(t, count(`SELECT count(*) FROM workflow_outbox`))
}

// killEngine starts the engine, notes what it has committed, and kills it d after its
// first line. With 0 it waits for its end.
func killEngine(t *testing.T, file string, d time.Duration, placed map[int]bool) {
	env := []string{killFile + "=" + file}
	if d == 0 {
		env = append(env, killFinish+"=1")
	}
	subprocess.Run(t, env, d, func(line string) {
		var n int
		if _, err := fmt.Sscanf(line, "placed %d\n", &n); err == nil {
			placed[n] = true
		}
	})
}

// killed is the engine. It says what it has placed.
func killed(file string) {
	check := func(err error) {
		if err != nil {
			log.Fatal("the engine failed: ", err)
		}
	}
	ctx := context.Background()
	open := func(pool int) *sql.DB {
		db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(60000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
		check(err)
		db.SetMaxOpenConns(pool)
		return db
	}
	db := open(1 + 3*rand.IntN(2))
	streamer, err := sqlite.New(ctx, db, sqlite.WithRetention(killRetention), sqlite.WithAckDelay(time.Duration(rand.IntN(2))*5*time.Millisecond))
	check(err)
	store, err := sqlitestore.New(ctx, db, streamer)
	check(err)
	_, err = db.Exec(killTables)
	check(err)
	var next int
	check(db.QueryRow(`SELECT coalesce(max(n), 0) + 1 FROM orders`).Scan(&next))
	left := func() int64 {
		list, err := store.List(ctx, "orders", 0, 10*killRuns, workflow.OrderTypeAscending,
			workflow.FilterByRunState(workflow.RunStateInitiated, workflow.RunStateRunning, workflow.RunStatePaused))
		check(err)
		return int64(len(list))
	}
	var underWay atomic.Int64
	underWay.Store(left())
	go writeBeside(open(1), check)

	w := killWorkflow(streamer, store, &underWay)
	w.Run(ctx)
	fmt.Println("runs")
	if os.Getenv(killFinish) != "" {
		for left() > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		w.Stop()
		check(streamer.Close())
		os.Exit(0)
	}
	for ; ; next++ {
		for underWay.Load() > killRuns {
			time.Sleep(time.Millisecond)
		}
		check(streamer.InTx(ctx, func(tx *sqlite.Tx) error {
			if _, err := tx.ExecContext(ctx, `INSERT INTO orders VALUES (?)`, next); err != nil {
				return err
			}
			_, err := w.Trigger(sqlitestore.WithTx(ctx, tx), fmt.Sprint(next))
			return err
		}))
		underWay.Add(1)
		fmt.Println("placed", next)
	}
}

// killObject is what the runs carry.
type killObject struct{ Repeated bool }

// killWorkflow returns the workflow. A tenth of its tries fails, as does a twentieth of
// what they stage. underWay loses one for each run that ends.
func killWorkflow(streamer *sqlite.Streamer, store *sqlitestore.Store, underWay *atomic.Int64) *workflow.Workflow[killObject, stage] {
	type run = workflow.Run[killObject, stage]
	insert := func(ctx context.Context, statement, runID string, step stage) func(*sqlite.Tx) error {
		return func(tx *sqlite.Tx) error {
			_, err := tx.ExecContext(ctx, statement, runID, int(step))
			return err
		}
	}
	b := workflow.NewBuilder[killObject, stage]("orders")
	for step := range killSteps {
		from := stage(step + 1)
		b.AddStep(from, sqlitestore.Transactional(store, func(ctx context.Context, r *run, stageWrite sqlitestore.Stage) (stage, error) {
			if err := streamer.InTx(ctx, insert(ctx, `INSERT INTO tries VALUES (?, ?)`, r.RunID, from)); err != nil {
				return 0, err
			}
			stageWrite(insert(ctx, `INSERT INTO written VALUES (?, ?)`, r.RunID, from))
			switch {
			case rand.IntN(10) == 0:
				return 0, errTenth
			case rand.IntN(20) == 0:
				stageWrite(func(*sqlite.Tx) error { return errTenth })
			case from == 2 && r.Meta.Version == 2:
				return r.Pause(ctx, "look at it again")
			case from == 3 && !r.Object.Repeated:
				r.Object.Repeated = true
				return r.SaveAndRepeat()
			}
			return from + 1, nil
		}), from+1)
	}
	b.OnPause(func(ctx context.Context, r *workflow.TypedRecord[killObject, stage]) error {
		if r.RunState != workflow.RunStatePaused { // it comes again
			return nil
		}
		return workflow.NewRunStateController(store.Store, &r.Record).Resume(ctx)
	})
	b.OnComplete(func(context.Context, *workflow.TypedRecord[killObject, stage]) error {
		underWay.Add(-1)
		return nil
	})
	return b.Build(luno.Streamer(streamer), store, memrolescheduler.New(), workflow.WithoutOutbox(), workflow.DisablePauseRetry(),
		workflow.WithLogger(silent{}), workflow.WithDefaultOptions(workflow.ParallelCount(1), workflow.ErrBackOff(2*time.Millisecond), workflow.PollingFrequency(time.Second)))
}

// writeBeside has another connection write all the time.
func writeBeside(db *sql.DB, check func(error)) {
	_, err := db.Exec(`CREATE TABLE IF NOT EXISTS beside (data BLOB)`)
	check(err)
	for {
		tx, err := db.Begin()
		check(err)
		_, err = tx.Exec(`INSERT INTO beside VALUES (zeroblob(5000))`)
		check(err)
		if rand.IntN(20) == 0 {
			time.Sleep(20 * time.Millisecond)
		}
		check(tx.Commit())
		time.Sleep(2 * time.Millisecond)
	}
}
