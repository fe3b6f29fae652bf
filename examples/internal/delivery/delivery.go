// Package delivery is what the commands durable and cluster have in common: they run the
// workflow of package fulfilment on a database, where a process that is killed leaves its
// orders to the next.
package delivery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrolescheduler"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer/examples/internal/cli"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
)

// The engine's types, for orders.
type (
	Workflow = workflow.Workflow[fulfilment.Order, fulfilment.Status]
	Run      = workflow.Run[fulfilment.Order, fulfilment.Status]
	Step     = workflow.ConsumerFunc[fulfilment.Order, fulfilment.Status]
)

// OpenDB opens the database of orders in dir, which it makes if there is none.
func OpenDB(dir string) (*sql.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "orders.db")
	if strings.ContainsAny(file, "?#%") {
		return nil, fmt.Errorf("%q: the name of a database must not have ? # or %%", file)
	}
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// Delivery delivers orders. The table steps of DB gets a row for each step of each.
type Delivery struct {
	DB       *sql.DB
	Streamer workflow.EventStreamer
	Records  workflow.RecordStore
	Options  []workflow.BuildOption

	// Step returns the step to a status. It calls Work, and writes the row.
	Step func(to fulfilment.Status) Step
	// Place starts the run of an order that has none.
	Place func(ctx context.Context, w *Workflow, order *fulfilment.Order) error

	Rate     int // orders placed a second, 0 for all at once
	Progress *cli.Progress
	Stdout   io.Writer

	tries atomic.Int64
	mu    sync.Mutex
	left  map[string]bool // orders to be delivered
	ended chan struct{}   // closed once there are none
}

// patience is how long no order may be delivered while some are left.
const patience = 30 * time.Second

const onPurpose = "fails on purpose"

// Work is the work of a step: it takes a few milliseconds, and now and then it fails.
func (d *Delivery) Work(order *fulfilment.Order, to fulfilment.Status) error {
	time.Sleep(2 * time.Millisecond)
	if d.tries.Add(1)%40 == 0 {
		return fmt.Errorf("%s of %s %s", to, order.ID, onPurpose)
	}
	return nil
}

// Run delivers orders, and those that an earlier process has left. When ctx is done, it
// leaves the rest to a later one.
func (d *Delivery) Run(ctx context.Context, orders []fulfilment.Order) error {
	known, err := d.known(ctx, orders)
	if err != nil {
		return err
	}
	w := d.build()
	w.Run(context.WithoutCancel(ctx))
	err = d.deliver(ctx, w, orders, known)
	w.Stop()
	d.Progress.Clear()
	if ctx.Err() != nil {
		d.Progress.Say("%v: %d orders are left. Start it again to go on.", context.Cause(ctx), d.count())
		return nil
	}
	if err != nil {
		return err
	}
	return d.check(ctx, orders)
}

// known returns the orders that have a run, and says what it has found.
func (d *Delivery) known(ctx context.Context, orders []fulfilment.Order) (known map[string]bool, err error) {
	known, d.left, d.ended = make(map[string]bool), make(map[string]bool), make(chan struct{})
	const page = 1000
	for records := make([]workflow.Record, page); len(records) == page; {
		if records, err = d.Records.List(ctx, fulfilment.Name, int64(len(known)), page, workflow.OrderTypeAscending); err != nil {
			return nil, err
		}
		for _, r := range records {
			known[r.ForeignID] = true
			if !r.RunState.Finished() {
				d.left[r.ForeignID] = true
			}
		}
	}
	var rows int
	if err := d.DB.QueryRowContext(ctx, `SELECT count(*) FROM steps`).Scan(&rows); err != nil {
		return nil, err
	}
	if len(known) == 0 {
		d.Progress.Say("found no orders. Kill this in any way, and start it again.")
	} else {
		d.Progress.Say("found %d orders, %d of them delivered, and the rows of %d steps.", len(known), len(known)-len(d.left), rows)
	}
	for _, o := range orders {
		if !known[o.ID] {
			d.left[o.ID] = true
		}
	}
	if len(d.left) == 0 {
		close(d.ended)
	}
	return known, nil
}

func (d *Delivery) build() *Workflow {
	b := fulfilment.NewBuilderOf(d.Step)
	b.OnComplete(func(_ context.Context, r *workflow.TypedRecord[fulfilment.Order, fulfilment.Status]) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.left[r.ForeignID] {
			delete(d.left, r.ForeignID)
			if len(d.left) == 0 {
				close(d.ended)
			}
		}
		return nil
	})
	return b.Build(d.Streamer, d.Records, memrolescheduler.New(), append(d.Options, workflow.WithLogger(logger{d.Progress}))...)
}

// count returns how many orders are left.
func (d *Delivery) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.left)
}

// deliver places the orders that are not known, and waits until all are delivered, or
// ctx is done.
func (d *Delivery) deliver(ctx context.Context, w *Workflow, orders []fulfilment.Order, known map[string]bool) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var placing sync.WaitGroup
	defer placing.Wait()
	placing.Go(func() {
		if err := d.place(ctx, w, orders, known); err != nil {
			fail(err)
		}
	})
	show := time.NewTicker(100 * time.Millisecond)
	defer show.Stop()
	last, at := d.count(), time.Now()
	for {
		select {
		case <-d.ended:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-show.C:
		}
		if left := d.count(); left != last {
			last, at = left, time.Now()
		} else if time.Since(at) > patience {
			return fmt.Errorf("no order was delivered for %v: %d are left", patience, left)
		}
		d.Progress.Show(fmt.Sprintf("%d orders to deliver", last))
	}
}

// place places the orders that are not known, until ctx is done.
func (d *Delivery) place(ctx context.Context, w *Workflow, orders []fulfilment.Order, known map[string]bool) error {
	start, n := time.Now(), 0
	for i := range orders {
		if known[orders[i].ID] {
			continue
		}
		if d.Rate > 0 {
			select {
			case <-time.After(time.Until(start.Add(time.Duration(n) * time.Second / time.Duration(d.Rate)))):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		// The order may be placed even if ctx ends meanwhile.
		if err := d.Place(context.WithoutCancel(ctx), w, &orders[i]); err != nil {
			return fmt.Errorf("place the order %s: %w", orders[i].ID, err)
		}
		n++
	}
	return nil
}

// check says whether each order has one run, which has ended, and one row for each step.
func (d *Delivery) check(ctx context.Context, orders []fulfilment.Order) error {
	var wrong []error
	for _, o := range orders {
		runs, err := d.Records.List(ctx, fulfilment.Name, 0, 0, workflow.OrderTypeAscending, workflow.FilterByForeignID(o.ID))
		if err != nil {
			return err
		}
		var rows, steps int
		if err := d.DB.QueryRowContext(ctx, `SELECT count(*), count(DISTINCT step) FROM steps WHERE order_id = ?`, o.ID).Scan(&rows, &steps); err != nil {
			return err
		}
		if len(runs) != 1 || runs[0].RunState != workflow.RunStateCompleted || rows != fulfilment.Steps || steps != rows {
			wrong = append(wrong, fmt.Errorf("order %s has %d runs, and %d rows of %d steps", o.ID, len(runs), rows, steps))
		}
	}
	if wrong != nil {
		return errors.Join(wrong...)
	}
	_, err := fmt.Fprintf(d.Stdout, "%d orders delivered, in one run each\n%d steps, with one row each\n", len(orders), len(orders)*fulfilment.Steps)
	return err
}

// logger tells of the errors that were not made on purpose, nor by the engine's Stop.
type logger struct{ progress *cli.Progress }

func (logger) Debug(context.Context, string, map[string]string) {}

func (l logger) Error(_ context.Context, err error) {
	text := err.Error() // the engine wraps none
	if !strings.Contains(text, onPurpose) && !strings.Contains(text, context.Canceled.Error()) {
		l.progress.Say("%s", text)
	}
}
