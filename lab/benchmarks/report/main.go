// Command report measures memstreamer beside its peers and against its own
// targets, all in one run.
//
//	go run -C lab/benchmarks ./report -h
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

const (
	resultsFile = "RESULTS.md"
	// section is the name of the table in short, there and in the README.
	section = "results"
	// engine is the name of the section that the command engine writes.
	engine = "engine"
	// usualRound is how long a round takes on an idle machine with two cores.
	usualRound = 75 * time.Second
	usualReps  = 7
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	if err := c.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

type config struct {
	reps          int
	quick, readme bool
	out           string
}

const usage = `Report measures memstreamer beside its peers and against its own targets.

It writes %s, results.svg and idle.svg. All %d rounds take about %.0f minutes on an
idle machine with two cores. Leave it idle meanwhile.

Usage: go run -C lab/benchmarks ./report [flags]

`

// parse tells what is wrong with args, or what they can be, on stderr.
func parse(args []string, stderr io.Writer) (c config, err error) {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&c.reps, "reps", usualReps, "rounds to measure; 0 measures nothing, for -readme alone")
	flags.BoolVar(&c.quick, "quick", false, "one short round, to see that all of it runs: the figures mean nothing")
	flags.StringVar(&c.out, "o", "", "directory to write to (default: a new temporary one)")
	flags.BoolVar(&c.readme, "readme", false, "publish: write to lab/benchmarks, and the table in short to the README too")
	flags.Usage = func() {
		fmt.Fprintf(stderr, usage, resultsFile, usualReps, (usualReps * usualRound).Minutes())
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("takes flags only, not %q", flags.Arg(0))
	case c.reps < 0:
		err = fmt.Errorf("-reps is %d: it cannot be negative", c.reps)
	case c.reps == 0 && !c.readme:
		err = errors.New("-reps 0 does nothing without -readme")
	case c.readme && c.quick:
		err = errors.New("-readme does not publish a -quick run, whose figures mean nothing")
	case c.readme && c.out != "":
		err = errors.New("-readme writes to lab/benchmarks: leave out -o")
	}
	if err != nil {
		fmt.Fprintf(stderr, "report: %v (-h tells more)\n", err)
	}
	return c, err
}

func (c config) run(ctx context.Context) (err error) {
	const readme = "../../README.md"
	switch {
	case c.readme: // finds out now, and not after the measurement
		c.out = "."
		if _, err = rounds.Section(readme, section); err != nil {
			err = fmt.Errorf("-readme has to run in lab/benchmarks: %w", err)
		}
	case c.out == "":
		c.out, err = os.MkdirTemp("", "memstreamer-report-")
	default:
		err = os.MkdirAll(c.out, 0o755)
	}
	if err != nil {
		return err
	}
	results := filepath.Join(c.out, resultsFile)
	if c.reps > 0 {
		var flags []string
		if c.quick {
			c.reps, flags = 1, []string{"-test.benchtime=1x", "-test.short"}
		}
		found, err := rounds.Run(ctx, plan(), c.reps, flags...)
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "measured in", found.Took)
		measured, err := rounds.Section(resultsFile, engine)
		if err != nil {
			measured = "Not measured.\n"
		}
		if err := (report{found, c.quick, measured}).write(c.out); err != nil {
			return err
		}
		fmt.Println("wrote", results)
	}
	if !c.readme {
		return nil
	}
	table, err := rounds.Section(results, section)
	if err != nil {
		return err
	}
	return rounds.SetSection(readme, section, table)
}

// report is what is written of results.
type report struct {
	*rounds.Results
	quick  bool
	engine string // the section of that name, to be kept
}

func (r report) write(dir string) error {
	for name, content := range map[string]string{
		resultsFile:   r.markdown(),
		"results.svg": r.drawHandoff(),
		"idle.svg":    r.drawIdle(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
