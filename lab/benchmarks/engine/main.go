// Command engine measures luno/workflow itself, on its own in-memory adapter and on
// memstreamer, with its outbox polled and parked: what a run takes, what waiting
// costs, and which calls of Await return. It makes the tables of RESULTS.md and the
// README:
//
//	go run -C lab/benchmarks ./engine -h
package main

import (
	"time"

	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func main() { command.Main() }

var command = rounds.Command{
	Name:   "engine",
	About:  "Engine measures luno/workflow on its own in-memory adapter and on memstreamer.",
	Rounds: 5,
	Round:  2 * time.Minute,
	Plan:   func(quick bool) []rounds.Benchmark { return sized(quick).plan() },
	Outputs: []rounds.Output{
		{File: "lab/benchmarks/RESULTS.md", Section: "engine", Text: long},
		{File: "README.md", Section: "engine", Text: short},
	},
}

// sizes are how much is measured.
type sizes struct {
	slow, fast, atOnce int // runs at 20 and at 200 a second, and at once
	idle               int // half seconds
	late, awaits       int // calls of Await whose return, and whose names, are counted
}

func sized(quick bool) sizes {
	if quick {
		return sizes{slow: 1, fast: 2, atOnce: 8, idle: 1, late: 1, awaits: 2}
	}
	return sizes{slow: 200, fast: 1000, atOnce: 2000, idle: 6, late: 20, awaits: 2000}
}
