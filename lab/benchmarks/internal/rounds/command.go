package rounds

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
)

// Command measures a plan, and writes what is to be said of it.
type Command struct {
	Name    string
	About   string        // a sentence
	Rounds  int           // by default
	Round   time.Duration // what a round takes on an idle machine with two cores
	Plan    []Benchmark   // those that are there twice run once
	Outputs []Output
}

// Output is a section of a file: what stands between the line <!-- name --> and
// <!-- /name -->. Without a name it is a picture, all of the file.
type Output struct {
	File    string // from the root of the repository
	Section string
	Text    func(*Results) string
}

const usage = `%s
All %d rounds take about %.0f minutes on an idle machine with two cores. Leave it idle
meanwhile. Set TMPDIR to a disk that is of interest.

Usage: go run -C lab/benchmarks ./%s [flags]

`

// Main is a main function, for a program that runs in lab/benchmarks.
func (c Command) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := c.Run(ctx, os.Args[1:], "../..", os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", c.Name, err)
		os.Exit(1)
	}
}

// Run is Main without its process. The files are below root.
func (c Command) Run(ctx context.Context, args []string, root string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	rounds := flags.Int("rounds", c.Rounds, "measure `N` times, and take medians")
	flags.IntVar(rounds, "reps", c.Rounds, "the same as -rounds")
	quick := flags.Bool("quick", false, "one short round, to see that all of it runs: the figures mean nothing")
	var files []string
	for _, o := range c.Outputs {
		files = append(files, o.File)
	}
	readme := flags.Bool("readme", false, "write into "+strings.Join(files, ", ")+", and not to standard output")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stderr, usage, c.About, c.Rounds, (time.Duration(c.Rounds) * c.Round).Minutes(), c.Name)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return err
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("there are only flags, and %q is none", flags.Arg(0))
	case *rounds < 1:
		return fmt.Errorf("-rounds is %d: it must be positive", *rounds)
	case *quick && *readme:
		return errors.New("-readme does not publish a -quick run, whose figures mean nothing")
	case *readme: // finds out now, and not after the measurement
		if err := c.Check(root); err != nil {
			return err
		}
	}
	plan := c.Plan
	if *quick {
		*rounds, plan = 1, nil
		for _, b := range c.Plan {
			plan = append(plan, Benchmark{b.Package, b.Name, "1x", true})
		}
		fmt.Fprint(stdout, "A quick run: its figures mean nothing.\n\n")
	}
	found, err := Run(ctx, plan, *rounds, stderr)
	if err != nil {
		return err
	}
	for _, o := range c.Outputs {
		text := o.Text(found)
		if o.Section != "" {
			text += "\n" + found.note() + "\n"
		}
		switch {
		case *readme:
			err = errors.Join(err, o.write(root, text))
		case o.Section != "":
			fmt.Fprintf(stdout, "%s:\n\n%s\n", o.File, text)
		}
	}
	return err
}

// note says how the results came about.
func (r *Results) note() string {
	return fmt.Sprintf("Medians of %s, in turns, each benchmark in a process of its own, on %s,\n%s, %s/%s, %s.",
		english.Plural(r.Rounds, "round", ""), r.CPU, english.Plural(runtime.GOMAXPROCS(0), "core", ""),
		runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// Check returns an error if a file has no place for its output.
func (c Command) Check(root string) error {
	for _, o := range c.Outputs {
		if _, _, err := o.around(root); err != nil {
			return fmt.Errorf("-readme has to run in lab/benchmarks: %w", err)
		}
	}
	return nil
}

// around returns what stands before and after the section.
func (o Output) around(root string) (before, after string, err error) {
	if o.Section == "" {
		return "", "", nil
	}
	text, err := os.ReadFile(filepath.Join(root, o.File))
	if err != nil {
		return "", "", err
	}
	start, end := "<!-- "+o.Section+" -->\n", "<!-- /"+o.Section+" -->"
	before, rest, started := strings.Cut(string(text), start)
	_, after, ended := strings.Cut(rest, end)
	if !started || !ended {
		return "", "", fmt.Errorf("%s has no line %s with a %s after it, for the table to be between", o.File, strings.TrimSpace(start), end)
	}
	return before + start, end + after, nil
}

func (o Output) write(root, text string) error {
	before, after, err := o.around(root)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, o.File), []byte(before+text+after), 0o644)
}
