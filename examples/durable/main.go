// Command durable runs the orders of the command workflow in one file: the engine's
// records, its events, and a row that each step writes.
//
//	go run -C examples ./durable -dir data
//
// Kill it at any moment, in whatever way, and start it again: it says what it has found,
// and goes on. In the end it checks that every order has one run, which has ended, and that
// each step has one row of each order, though some tries fail, on purpose.
//
// The exit status is 0 when all orders were delivered, 1 after a failure, and 2 when the
// flags make no sense. After an interrupt it is 130 and after SIGTERM 143.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"github.com/luno/workflow"

	"github.com/memstreamer/memstreamer/examples/internal/cli"
	"github.com/memstreamer/memstreamer/examples/internal/delivery"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
	"github.com/memstreamer/memstreamer/luno"
	"github.com/memstreamer/memstreamer/luno/sqlitestore"
	"github.com/memstreamer/memstreamer/sqlite"
)

func main() {
	c := command()
	c.Stdout, c.Progress = os.Stdout, cli.NewProgress(os.Stderr)
	os.Exit(c.Main(cli.Signals(), os.Args[1:]))
}

func command() *delivery.Command {
	return &delivery.Command{
		Name:  "durable",
		About: "durable takes orders through seven steps of luno/workflow, with records, events\nand the steps' own rows in one file. Kill it and start it again: it goes on.",
		Flags: func(*flag.FlagSet) {},
		Check: func() error { return nil },
		Run:   run,
	}
}

// schema has no key by which a row that is written twice would be dropped.
const schema = `
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, item TEXT NOT NULL, quantity INTEGER NOT NULL, price_cents INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS steps (order_id TEXT NOT NULL, step TEXT NOT NULL)`

func run(ctx context.Context, dir string, d *delivery.Delivery, orders []fulfilment.Order) (err error) {
	db, err := delivery.OpenDB(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	streamer, err := sqlite.New(ctx, db, sqlite.WithRetention(24*time.Hour))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, streamer.Close()) }()
	store, err := sqlitestore.New(ctx, db, streamer)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return err
	}
	d.DB, d.Streamer, d.Records = db, luno.Streamer(streamer), store
	d.Options = []workflow.BuildOption{workflow.WithoutOutbox()}
	// The row is written with the outcome of the step, in one transaction.
	d.Step = func(to fulfilment.Status) delivery.Step {
		return sqlitestore.Transactional(store, func(ctx context.Context, r *delivery.Run, stage sqlitestore.Stage) (fulfilment.Status, error) {
			stage(func(tx *sqlite.Tx) error {
				_, err := tx.ExecContext(ctx, `INSERT INTO steps (order_id, step) VALUES (?, ?)`, r.ForeignID, to.String())
				return err
			})
			return to, d.Work(r.Object, to)
		})
	}
	// The order is inserted, and its run started, in one transaction.
	d.Place = func(ctx context.Context, w *delivery.Workflow, o *fulfilment.Order) error {
		return streamer.InTx(ctx, func(tx *sqlite.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO orders (id, item, quantity, price_cents) VALUES (?, ?, ?, ?)`, o.ID, o.Item, o.Quantity, o.PriceCents)
			if err != nil {
				return err
			}
			_, err = w.Trigger(sqlitestore.WithTx(ctx, tx), o.ID, workflow.WithInitialValue[fulfilment.Order, fulfilment.Status](o))
			return err
		})
	}
	return d.Run(ctx, orders)
}
