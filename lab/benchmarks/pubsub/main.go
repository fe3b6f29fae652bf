// Pubsub does the same jobs with memstreamer's Watermill Pub/Sub and with
// Watermill's own for one process, GoChannel, and prints a table of what they
// cost. With -readme it writes the table into a file, between two marks:
//
//	go run -C lab/benchmarks ./pubsub -readme ../../watermill/README.md
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"github.com/dustin/go-humanize/english"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

// section is the name of the table in a file.
const section = "pubsub"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var c config
	flag.IntVar(&c.rounds, "rounds", 7, "do each job `N` times, and take medians")
	flag.IntVar(&c.messages, "messages", 20_000, "pass `N` messages in a throughput job, and a quarter in the others")
	flag.StringVar(&c.readme, "readme", "", "write the table into `FILE`, and not to standard output")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `Pubsub measures memstreamer's Watermill Pub/Sub beside Watermill's GoChannel, and
prints a table of what the same jobs cost.

Usage: go run -C lab/benchmarks ./pubsub [flags]

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	if c.rounds < 1 || c.messages < 100 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "pubsub: -rounds must be positive, -messages 100 or more, and there are no arguments")
		os.Exit(2)
	}
	if err := c.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "pubsub:", err)
		os.Exit(1)
	}
}

type config struct {
	rounds, messages int
	readme           string
}

func (c config) run(ctx context.Context) error {
	if c.readme != "" { // finds out now, and not after the measurement
		if _, err := rounds.Section(c.readme, section); err != nil {
			return err
		}
	}
	r, err := rounds.Run(ctx, c.plan(), c.rounds)
	if err != nil {
		return err
	}
	table := markdown(r) + fmt.Sprintf("\nMedians of %s, in turns, on %s, %s/%s, %s.\n", english.Plural(c.rounds, "round", ""),
		english.Plural(runtime.NumCPU(), "core", ""), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if c.readme != "" {
		return rounds.SetSection(c.readme, section, table)
	}
	_, err = os.Stdout.WriteString(table)
	return err
}

func (c config) plan() (all []rounds.Benchmark) {
	for _, job := range []string{pass, handoff, stuck} {
		messages := c.messages / 4
		if job == pass {
			messages = c.messages
		}
		for _, p := range benchmarks.PubSubs {
			all = append(all, rounds.Benchmark{
				Package: "github.com/memstreamer/memstreamer/lab/benchmarks",
				Name:    of(job, p),
				Time:    fmt.Sprintf("%dx", messages),
			})
		}
	}
	return all
}
