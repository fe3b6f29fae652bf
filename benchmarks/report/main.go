// Command report measures memstreamer and its peers, all in one run, and writes
// what it finds to RESULTS.md, results.svg and idle.svg.
//
//	go run -C benchmarks ./report
//
// It builds the benchmarks of both modules and runs each in a process of its
// own, round by round, so that a machine that drifts is slow for all alike.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := report(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "report:", err)
		}
		os.Exit(1)
	}
}

const resultsFile = "RESULTS.md"

func report(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	reps := flags.Int("reps", 7, "rounds to measure; 0 measures nothing, for -readme alone")
	quick := flags.Bool("quick", false, "one round of one operation each, to see that all of it runs: the figures mean nothing")
	out := flags.String("o", "", "directory to write to (default that of the benchmarks module)")
	readme := flags.Bool("readme", false, "copy the table of the written "+resultsFile+" into the README")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("takes flags only, not %q", flags.Arg(0))
	}
	if *reps < 0 {
		return fmt.Errorf("-reps is %d: it cannot be negative", *reps)
	}
	root, err := moduleDir(ctx, "github.com/memstreamer/memstreamer")
	if err != nil {
		return err
	}
	module, err := moduleDir(ctx, "github.com/memstreamer/memstreamer/benchmarks")
	if err != nil {
		return err
	}
	if *out == "" {
		*out = module
	}

	if *reps > 0 {
		m := measurement{plan: plan(), rounds: *reps, progress: newProgress(os.Stderr)}
		if *quick {
			m.rounds, m.benchTime = 1, "1x"
		}
		found, err := m.run(ctx, map[suite]string{library: root, peers: module})
		if err != nil {
			return err
		}
		if err := write(*out, found); err != nil {
			return err
		}
	}
	if *readme {
		return copyTable(filepath.Join(*out, resultsFile), filepath.Join(root, "README.md"))
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
