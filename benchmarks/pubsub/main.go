// Pubsub does the same jobs with memstreamer's Watermill Pub/Sub and with
// Watermill's own for one process, GoChannel, and prints a table of what they
// cost. With -readme it writes the table into a file, between two marks:
//
//	go run ./pubsub -readme ../watermill/README.md
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"
)

func main() {
	var c config
	flag.IntVar(&c.rounds, "rounds", 7, "do each job `N` times, and take medians")
	flag.IntVar(&c.messages, "messages", 20_000, "pass `N` messages in a throughput job, and a quarter in the others")
	readme := flag.String("readme", "", "write the table into `FILE`, and not to standard output")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `Pubsub measures memstreamer's Watermill Pub/Sub beside Watermill's GoChannel, and
prints a table of what the same jobs cost.

Usage: go run -C benchmarks ./pubsub [flags]

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	if c.rounds < 1 || c.messages < 100 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "pubsub: -rounds must be positive, -messages 100 or more, and there are no arguments")
		os.Exit(2)
	}
	if err := run(c, *readme); err != nil {
		fmt.Fprintln(os.Stderr, "pubsub:", err)
		os.Exit(1)
	}
}

func run(c config, readme string) error {
	r, err := measure(c, func(round int, peer string) {
		fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, c.rounds, peer)
	})
	if err != nil {
		return err
	}
	table := markdown(r) + fmt.Sprintf("\nMedians of %d rounds, in turns, on %d cores, %s/%s, %s.\n", c.rounds, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if readme == "" {
		_, err := os.Stdout.WriteString(table)
		return err
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	updated, err := between(text, table)
	if err != nil {
		return fmt.Errorf("%s: %w", readme, err)
	}
	return os.WriteFile(readme, updated, 0o644)
}

const (
	startMark = "<!-- pubsub -->\n"
	endMark   = "<!-- /pubsub -->"
)

// between returns text with table between the marks.
func between(text []byte, table string) ([]byte, error) {
	before, rest, ok := bytes.Cut(text, []byte(startMark))
	if !ok {
		return nil, fmt.Errorf("there is no line %q", startMark)
	}
	_, after, ok := bytes.Cut(rest, []byte(endMark))
	if !ok {
		return nil, fmt.Errorf("there is no %q after %q", endMark, startMark)
	}
	return fmt.Appendf(nil, "%s%s%s%s%s", before, startMark, table, endMark, after), nil
}
