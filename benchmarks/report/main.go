// Command report measures memstreamer beside its peers and against its own
// targets, all in one run.
//
//	go run -C benchmarks ./report -h
//
// It builds the benchmarks of both modules and runs each in a process of its
// own, round by round, so that a machine that drifts is slow for all alike.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

const (
	resultsFile = "RESULTS.md"
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

Usage: go run -C benchmarks ./report [flags]

`

// parse tells what is wrong with args, or what they can be, on stderr.
func parse(args []string, stderr io.Writer) (c config, err error) {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&c.reps, "reps", usualReps, "rounds to measure; 0 measures nothing, for -readme alone")
	flags.BoolVar(&c.quick, "quick", false, "one short round, to see that all of it runs: the figures mean nothing")
	flags.StringVar(&c.out, "o", "", "directory to write to (default: a new temporary one)")
	flags.BoolVar(&c.readme, "readme", false, "publish: write to the benchmarks module, and the table in short to the README too")
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
		err = errors.New("-readme writes to the benchmarks module: leave out -o")
	}
	if err != nil {
		fmt.Fprintf(stderr, "report: %v (-h tells more)\n", err)
	}
	return c, err
}

func (c config) run(ctx context.Context) error {
	root, err := moduleDir(ctx, "github.com/memstreamer/memstreamer")
	if err != nil {
		return err
	}
	module, err := moduleDir(ctx, "github.com/memstreamer/memstreamer/benchmarks")
	if err != nil {
		return err
	}
	readme := filepath.Join(root, "README.md")
	switch {
	case c.readme:
		c.out = module
		err = copyTable(readme, readme) // finds out now, and not after the measurement
	case c.out == "":
		c.out, err = os.MkdirTemp("", "memstreamer-report-")
	default:
		err = os.MkdirAll(c.out, 0o755)
	}
	if err != nil {
		return err
	}
	if c.reps > 0 {
		m := measurement{plan: plan(), rounds: c.reps, quick: c.quick, progress: newProgress(os.Stderr)}
		if c.quick {
			m.rounds = 1
		}
		found, err := m.run(ctx, map[suite]string{library: root, peers: module})
		if err != nil {
			return err
		}
		if err := write(c.out, found); err != nil {
			return err
		}
		fmt.Println("wrote", filepath.Join(c.out, resultsFile))
	}
	if c.readme {
		return copyTable(filepath.Join(c.out, resultsFile), readme)
	}
	return nil
}

func write(dir string, found *results) error {
	if err := os.WriteFile(filepath.Join(dir, resultsFile), []byte(markdown(found)), 0o644); err != nil {
		return err
	}
	if err := drawHandoff(filepath.Join(dir, "results.svg"), found); err != nil {
		return err
	}
	return drawIdle(filepath.Join(dir, "idle.svg"), found)
}

// moduleDir is the directory of a module of this build, wherever in it the
// program was started.
func moduleDir(ctx context.Context, path string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", path)
	cmd.Stderr = os.Stderr
	dir, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s, to be run in the benchmarks module: %w", path, err)
	}
	return strings.TrimSpace(string(dir)), nil
}
