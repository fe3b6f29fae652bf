// Engine measures luno/workflow itself, on its own in-memory adapter and on
// memstreamer, with its outbox polled and parked: what a run takes, what waiting
// costs, and which calls of Await return. With -readme it writes the tables into
// RESULTS.md and the README.
//
//	go run -C lab/benchmarks ./engine -h
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

// section is the name of the tables in the files.
const section = "engine"

// usualRound is how long a round takes on an idle machine with two cores.
const usualRound = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c := full
	flag.IntVar(&c.rounds, "rounds", c.rounds, "measure `N` times, and take medians")
	quick := flag.Bool("quick", false, "one short round, to see that all of it runs: the figures mean nothing")
	publish := flag.Bool("readme", false, "write the tables into RESULTS.md and the README, and not to standard output")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), `Engine measures luno/workflow on its own in-memory adapter and on memstreamer, with its
outbox polled and parked. All %d rounds take about %.0f minutes on an idle machine with
two cores. Leave it idle meanwhile.

Usage: go run -C lab/benchmarks ./engine [flags]

`, full.rounds, (time.Duration(full.rounds) * usualRound).Minutes())
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := c.check(*quick, *publish, flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "engine: %v (-h tells more)\n", err)
		os.Exit(2)
	}
	switch {
	case *quick:
		c = short
		fmt.Print("A quick run: its figures mean nothing.\n\n")
	case *publish:
		c.results, c.readme = "RESULTS.md", "../../README.md"
	}
	if err := c.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
}

// config is how much is measured.
type config struct {
	rounds          int
	results, readme string // the files with the section, empty for standard output

	slow, fast, atOnce int // runs at 20 and at 200 a second, and at once
	idle               int // half seconds
	late, awaits       int // calls of Await whose return, and whose names, are counted
}

var (
	full  = config{rounds: 5, slow: 200, fast: 1000, atOnce: 2000, idle: 6, late: 20, awaits: 2000}
	short = config{rounds: 1, slow: 1, fast: 2, atOnce: 8, idle: 1, late: 1, awaits: 2}
)

// check returns what is wrong with the flags.
func (c config) check(quick, publish bool, args []string) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("takes flags only, not %q", args[0])
	case c.rounds < 1:
		return fmt.Errorf("-rounds is %d: it must be positive", c.rounds)
	case quick && publish:
		return errors.New("-readme does not publish a -quick run, whose figures mean nothing")
	}
	return nil
}

func (c config) run(ctx context.Context) error {
	if c.readme != "" { // finds out now, and not after the measurement
		for _, file := range []string{c.results, c.readme} {
			if _, err := rounds.Section(file, section); err != nil {
				return fmt.Errorf("-readme has to run in lab/benchmarks: %w", err)
			}
		}
	}
	found, err := rounds.Run(ctx, c.plan(), c.rounds)
	if err != nil {
		return err
	}
	r := report{found, c}
	if c.readme == "" {
		_, err = os.Stdout.WriteString(r.long())
		return err
	}
	return errors.Join(rounds.SetSection(c.results, section, r.long()), rounds.SetSection(c.readme, section, r.short()))
}
