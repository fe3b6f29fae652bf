package sqlitestore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrolescheduler"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer/luno"
	"github.com/memstreamer/memstreamer/luno/sqlitestore"
	"github.com/memstreamer/memstreamer/sqlite"
)

type Order struct{}

type Status int

const (
	Placed Status = iota + 1
	Packed
)

func (s Status) String() string { return [...]string{"unknown", "placed", "packed"}[s] }

// An order and its run are one transaction, and so are a label and the step that prints
// it: the label is there once, however often the step runs.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	check(err)
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "app.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)")
	check(err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE TABLE orders (id TEXT); CREATE TABLE labels (order_id TEXT)`)
	check(err)

	streamer, err := sqlite.New(ctx, db)
	check(err)
	defer streamer.Close()
	store, err := sqlitestore.New(ctx, db, streamer)
	check(err)

	b := workflow.NewBuilder[Order, Status]("orders")
	b.AddStep(Placed, sqlitestore.Transactional(store, func(ctx context.Context, r *workflow.Run[Order, Status], stage sqlitestore.Stage) (Status, error) {
		stage(func(tx *sqlite.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO labels VALUES (?)`, r.ForeignID)
			return err
		})
		return Packed, nil
	}), Packed)
	w := b.Build(luno.Streamer(streamer), store, memrolescheduler.New(),
		workflow.WithoutOutbox(), workflow.WithTimeoutStore(store.Timeouts()))
	w.Run(ctx)
	defer w.Stop()

	var runID string
	check(streamer.InTx(ctx, func(tx *sqlite.Tx) (err error) {
		if _, err = tx.ExecContext(ctx, `INSERT INTO orders VALUES (?)`, "order-7"); err != nil {
			return err
		}
		runID, err = w.Trigger(sqlitestore.WithTx(ctx, tx), "order-7")
		return err
	}))
	run, err := w.Await(ctx, "order-7", runID, Packed)
	check(err)
	var labels int
	check(db.QueryRow(`SELECT count(*) FROM labels WHERE order_id = 'order-7'`).Scan(&labels))
	fmt.Println(run.ForeignID, "is", run.Status, "with", labels, "label")
	// Output: order-7 is packed with 1 label
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
