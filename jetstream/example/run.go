package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/durable"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/sqlstore"
	_ "modernc.org/sqlite"
)

// The exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it
)

// run is the program without its process. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}
	err = fulfil(ctx, c, stdout, stderr)
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

// fulfil takes orders through the workflow. It makes no directory before it has
// found its input and its server.
func fulfil(ctx context.Context, c config, stdout, stderr io.Writer) (err error) {
	if c.orders.File != "" {
		if _, err := os.Stat(c.orders.File); err != nil {
			return err
		}
	}
	streamer, closeStreamer, err := openStreamer(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStreamer()) }()
	unlock, err := lock(c.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	db, err := openDB(c.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := sqlstore.Open(ctx, db)
	if err != nil {
		return fmt.Errorf("store in %s: %w", c.dir, err)
	}
	return durable.Run(ctx, memstreamer.As[fulfilment.EventStreamer](streamer), store, c.orders, stdout, stderr)
}

// lock makes dir if it is missing, and keeps other processes from working in it.
// The lock ends with the process.
func lock(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(dir, "lock"))
	ok, err := l.TryLock()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("another process works in %s: give each its own -dir", dir)
	}
	return l.Unlock, nil
}

// openDB opens the database of the orders in dir. It has one connection, and so
// never waits for another of its own.
func openDB(dir string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "orders.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}
