// Command pubsub does the same jobs with memstreamer's Watermill Pub/Sub and with
// Watermill's own for one process, GoChannel, and makes the table of watermill's
// README:
//
//	go run -C lab/benchmarks ./pubsub -h
package main

import (
	"fmt"
	"time"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func main() { command.Main() }

var command = rounds.Command{
	Name:    "pubsub",
	About:   "Pubsub measures memstreamer's Watermill Pub/Sub beside Watermill's GoChannel.",
	Rounds:  7,
	Round:   10 * time.Second,
	Plan:    plan,
	Outputs: []rounds.Output{{File: "watermill/README.md", Section: "pubsub", Text: markdown}},
}

func plan(quick bool) (all []rounds.Benchmark) {
	for _, job := range []string{pass, handoff, stuck} {
		messages := 5000
		switch {
		case quick:
			messages = 100
		case job == pass:
			messages = 20_000
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
