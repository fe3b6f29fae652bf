// Command example takes orders through the fulfilment engine of
// examples/workflow, with its records, its outbox and its events in one SQLite
// database:
//
//	go run ./example -dir data
//
// Kill it in the middle, in whatever way, and start it again: it goes on from
// where it was, and every order is fulfilled once.
//
// Orders are JSON lines of a file, of standard input, or of a sample that is part
// of the program. A line that is not an order is reported with its number and
// skipped or, with -strict, ends the run. An order that was accepted before is
// passed over. Some tries of a step fail, and some consumers crash, on purpose: the
// table at the end tells how often.
//
// The exit status is 0 when every order accepted is delivered as it should be, 1
// when one is not, or a bad line (with -strict) or a failure ended the run early, 2
// when the flags make no sense or the input cannot be opened, and 130 after an
// interrupt. What was accepted before that is finished first; a second interrupt
// ends the program at once, and the next start goes on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/sqlstore"
	"github.com/memstreamer/memstreamer/examples/workflow/program"
	"github.com/memstreamer/memstreamer/sqlite"
)

func main() { example().Main() }

func example() program.Program {
	var dir directory
	return program.Program{
		Name: "example",
		About: `example takes orders through a workflow whose records, outbox and events are in one
SQLite database. Kill it and start it again: it goes on from there.`,
		Durable:    true,
		Repeat:     50,
		InProgress: 100,
		Flags:      dir.flags,
		Check:      dir.check,
		Open:       dir.open,
	}
}

// directory is what -dir names.
type directory string

func (d *directory) flags(flags *flag.FlagSet) {
	flags.StringVar((*string)(d), "dir", "fulfilment-data", "keep the database in `DIR`")
}

func (d *directory) check() error {
	if *d == "" {
		return errors.New("-dir must not be empty")
	}
	return nil
}

// open opens the store and the streamer, which share a database.
func (d *directory) open(ctx context.Context) (memstreamer.EventStreamer, fulfilment.Store, func() error, error) {
	store, err := sqlstore.Open(ctx, string(*d))
	if err != nil {
		return nil, nil, nil, err
	}
	streamer, err := sqlite.New(ctx, store.DB)
	if errors.Is(err, sqlite.ErrInUse) {
		err = fmt.Errorf("another process works in %s: give each its own -dir: %w", *d, err)
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, store.Close())
	}
	return streamer, store, func() error { return errors.Join(streamer.Close(), store.Close()) }, nil
}
