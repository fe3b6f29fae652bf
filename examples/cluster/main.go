// Command cluster runs the orders of the command workflow with events on NATS JetStream,
// in a server inside the process or in a cluster elsewhere, and records in a file:
//
//	go run -C examples ./cluster -dir data
//	go run -C examples ./cluster -dir data2 -nats nats://a:4222,nats://b:4222,nats://c:4222 -replicas 3
//
// Kill it at any moment, in whatever way, and start it again: it says what it has found,
// and goes on. In the end it checks that every order has one run, which has ended, and that
// each step has one row of each order, though some tries fail, on purpose.
//
// Records and events are in two places here, with the engine's outbox between them, which
// is parked. So a step may run again after a kill, and has to write its row in a way that
// does nothing the second time. In the command durable they are in one place.
//
// The exit status is 0 when all orders were delivered, 1 after a failure, and 2 when the
// flags make no sense. After an interrupt it is 130 and after SIGTERM 143.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/luno/workflow"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/memstreamer/memstreamer/examples/internal/cli"
	"github.com/memstreamer/memstreamer/examples/internal/delivery"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/memstreamer/memstreamer/luno"
	"github.com/memstreamer/memstreamer/luno/sqlitestore"
)

func main() {
	c := command()
	c.Stdout, c.Progress = os.Stdout, cli.NewProgress(os.Stderr)
	os.Exit(c.Main(cli.Signals(), os.Args[1:]))
}

// events says where the events are.
type events struct {
	urls     string
	stream   string
	replicas int
}

func command() *delivery.Command {
	var e events
	return &delivery.Command{
		Name:  "cluster",
		About: "cluster takes orders through seven steps of luno/workflow, with events on NATS\nJetStream and records in a file. Kill it and start it again: it goes on.",
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&e.urls, "nats", "", "have events on the servers at `URLS`, such as nats://a:4222,nats://b:4222 (default a server in the process)")
			flags.StringVar(&e.stream, "stream", "ORDERS", "`NAME` of the JetStream stream: one for each -dir")
			flags.IntVar(&e.replicas, "replicas", 1, "keep events on `N` servers of -nats")
		},
		Check: e.check,
		Run:   e.run,
	}
}

// check returns what is wrong with the flags.
func (e *events) check() error {
	switch {
	case e.stream == "" || strings.ContainsAny(e.stream, " \t\r\n\f.*>/\\"):
		return fmt.Errorf("-stream must be the name of a stream, without spaces and . * > / \\, not %q", e.stream)
	case e.urls == "" && e.replicas != 1:
		return errors.New("-replicas is for -nats: the server in the process is one")
	case e.replicas < 1 || e.replicas > 5:
		return fmt.Errorf("-replicas must be from 1 to 5, not %d", e.replicas)
	}
	return nil
}

// connect returns a connection to the servers, and what ends it.
func (e *events) connect(dir string, progress *cli.Progress) (*nats.Conn, func() error, error) {
	if e.urls == "" {
		progress.Say("events on a server in the process. For a cluster: -dir ANOTHER -nats URLS -replicas 3")
		return embedded.Start(filepath.Join(dir, "jetstream"))
	}
	conn, err := nats.Connect(e.urls, nats.Name("cluster"), nats.MaxReconnects(-1), nats.ReconnectWait(500*time.Millisecond), nats.PingInterval(10*time.Second))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", e.urls, err)
	}
	return conn, func() error {
		conn.Close()
		return nil
	}, nil
}

const schema = `CREATE TABLE IF NOT EXISTS steps (order_id TEXT NOT NULL, step TEXT NOT NULL, PRIMARY KEY (order_id, step))`

func (e *events) run(ctx context.Context, dir string, d *delivery.Delivery, orders []fulfilment.Order) (err error) {
	conn, disconnect, err := e.connect(dir, d.Progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disconnect()) }()
	js, err := natsjs.New(conn)
	if err != nil {
		return err
	}
	streamer, err := jetstream.New(ctx, js, jetstream.WithStream(e.stream), jetstream.WithReplicas(e.replicas))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, streamer.Close()) }()
	db, err := delivery.OpenDB(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := sqlitestore.New(ctx, db, nil)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return err
	}
	d.DB, d.Streamer, d.Records = db, luno.Streamer(streamer), luno.ParkOutbox(store, 0)
	d.Step = func(to fulfilment.Status) delivery.Step {
		return func(ctx context.Context, r *delivery.Run) (fulfilment.Status, error) {
			if err := d.Work(r.Object, to); err != nil {
				return 0, err
			}
			_, err := db.ExecContext(ctx, `INSERT INTO steps (order_id, step) VALUES (?, ?) ON CONFLICT DO NOTHING`, r.ForeignID, to.String())
			return to, err
		}
	}
	d.Place = func(ctx context.Context, w *delivery.Workflow, o *fulfilment.Order) error {
		_, err := w.Trigger(ctx, o.ID, workflow.WithInitialValue[fulfilment.Order, fulfilment.Status](o))
		return err
	}
	return d.Run(ctx, orders)
}
