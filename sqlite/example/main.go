// Command example takes orders through the fulfilment engine of
// examples/workflow, with its records, its outbox and its events in one SQLite
// database:
//
//	go run ./example -dir data
//
// Kill it in the middle, in whatever way, and start it again: it goes on from
// where it was, and every order is fulfilled once.
//
// Orders are JSON lines of a file or of a sample that is part of the engine. A
// line that is not an order is reported with its number and skipped, and one
// whose order was accepted before is passed over.
//
// The exit status is 0 when every order accepted is delivered as it should be, 1
// when one is not or a failure ended the run early, 2 when the flags make no
// sense, and 130 after an interrupt, after which the next start goes on.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/durable"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/sqlstore"
	"github.com/memstreamer/memstreamer/sqlite"
)

// The exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program, but for its process; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var dir string
	var orders durable.Orders
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, `example takes orders through a workflow whose records, outbox and events are in one
SQLite database. Kill it and start it again: it goes on from there.

Usage: example [flags]

`)
		flags.PrintDefaults()
	}
	flags.StringVar(&dir, "dir", "fulfilment-data", "keep the database in `DIR`")
	flags.StringVar(&orders.File, "in", "", "read orders as JSON lines from `FILE` (default the embedded sample)")
	flags.IntVar(&orders.Repeat, "repeat", 50, "go through the embedded sample `N` times, with new order IDs each time")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: orders are read from -in FILE", flags.Arg(0))
	case dir == "":
		err = errors.New("-dir must not be empty")
	case orders.Repeat < 1:
		err = fmt.Errorf("-repeat must be 1 or more, not %d", orders.Repeat)
	}
	if err != nil {
		fmt.Fprintf(stderr, "example: %v\nexample -h lists the flags.\n", err)
		return exitUsage
	}
	err = fulfil(ctx, dir, orders, stdout, stderr)
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "example: interrupted: the next start goes on from here")
		return exitInterrupted
	default:
		fmt.Fprintf(stderr, "example: %v\n", err)
		return exitFailed
	}
}

// fulfil opens the database in dir and takes orders through it.
func fulfil(ctx context.Context, dir string, orders durable.Orders, stdout, stderr io.Writer) (err error) {
	db, err := openDB(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := sqlstore.Open(ctx, db)
	if err != nil {
		return err
	}
	streamer, err := sqlite.New(ctx, db)
	if errors.Is(err, sqlite.ErrInUse) {
		return fmt.Errorf("another process works in %s: give each its own -dir: %w", dir, err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, streamer.Close()) }()
	return durable.Run(ctx, memstreamer.As[fulfilment.EventStreamer](streamer), store, orders, stdout, stderr)
}

// openDB opens the database in dir, and makes it where there is none. The engine
// and the streamer share one connection, and so never wait in SQLite.
func openDB(dir string) (*sql.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "fulfilment.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}
