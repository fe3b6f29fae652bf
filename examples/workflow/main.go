// Command workflow runs orders through a workflow of luno/workflow, three times: on
// the engine's own in-memory adapter, on memstreamer, and on memstreamer with the
// engine's outbox parked. It prints what each took.
//
//	go run -C examples ./workflow [flags]
//
// Orders are JSON lines, of a sample that is part of the program, of a file, or of
// standard input:
//
//	{"id": "A-1001", "item": "espresso beans 1 kg", "quantity": 2, "price_cents": 1890}
//
// If a line is not an order, the program says which and why, and runs none. Each
// order passes seven steps, some tries of which fail, on purpose.
//
// The exit status is 0 when all orders were delivered, 1 when the input was wrong or
// something failed, and 2 when the flags make no sense. After an interrupt it is 130
// and after SIGTERM 143: the orders in progress are finished first, and the table is
// printed. A second signal ends the program at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/memstreamer/memstreamer/examples/internal/cli"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
)

const (
	ok      = 0
	failed  = 1
	misused = 2
)

func main() {
	p := program{stdin: os.Stdin, stdout: os.Stdout, progress: cli.NewProgress(os.Stderr), idle: time.Second}
	os.Exit(p.run(cli.Signals(), os.Args[1:]))
}

// program is the program without its process.
type program struct {
	stdin    io.Reader
	stdout   io.Writer
	progress *cli.Progress
	idle     time.Duration // of each round, to measure it

	file string
	only string
	rate int
}

// run returns the exit status.
func (p *program) run(ctx context.Context, args []string) int {
	switch err := p.parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return ok
	case err != nil:
		p.progress.Say("workflow: %v\nworkflow -h lists the flags.", err)
		return misused
	}
	orders, err := p.orders(ctx)
	if err == nil {
		err = p.rounds(ctx, orders)
	}
	if status, interrupted := cli.SignalStatus(ctx); interrupted {
		return status
	}
	if err != nil {
		p.progress.Say("workflow: %v", err)
		return failed
	}
	return ok
}

const about = `workflow runs orders through seven steps of luno/workflow: on the engine's
own in-memory adapter, on memstreamer, and on memstreamer with the engine's
outbox parked. Then it prints what each took. An order is a JSON line:

  ` + fulfilment.AnOrder + `

Usage: go run -C examples ./workflow [flags]

`

// parse sets p by args. It prints what they can be if asked for help.
func (p *program) parse(args []string) error {
	flags := flag.NewFlagSet("workflow", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&p.file, "orders", "", "read orders from `FILE`, - for standard input (default a sample)")
	flags.IntVar(&p.rate, "rate", 50, "place `N` orders a second, 0 for all at once")
	flags.StringVar(&p.only, "only", "", "run on `ONE` only: adapter, ours or parked")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(p.stdout, about)
		flags.SetOutput(p.stdout)
		flags.PrintDefaults()
		return err
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q: orders are read from -orders FILE", flags.Arg(0))
	case p.rate < 0 || p.rate > 10_000:
		return fmt.Errorf("-rate must be from 0 to 10000, not %d", p.rate)
	case p.only != "" && len(p.arrangements()) == 0:
		return fmt.Errorf("-only must be adapter, ours or parked, not %q", p.only)
	}
	return nil
}

// orders returns the orders of the input, unless ctx is done before it ends.
func (p *program) orders(ctx context.Context) ([]fulfilment.Order, error) {
	name, input := p.file, p.stdin
	switch name {
	case "":
		name, input = "the sample", fulfilment.Sample()
	case "-":
		name = "standard input"
		if file, ok := input.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			p.progress.Say("Type orders, a JSON line each, and end with Ctrl-D.")
		}
	default:
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		input = file
	}
	type result struct {
		orders []fulfilment.Order
		err    error
	}
	read := make(chan result, 1)
	go func() { // standard input may never end
		orders, err := fulfilment.ReadOrders(input)
		read <- result{orders, err}
	}()
	select {
	case r := <-read:
		if r.err != nil {
			return nil, fmt.Errorf("%s: %w", name, r.err)
		}
		return r.orders, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
