package main

import (
	"fmt"
	"strings"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

// The jobs.
const (
	pass    = "PubSubPass"
	handoff = "PubSubHandoff"
	stuck   = "PubSubStuck"
)

// of returns the benchmark of p's job.
func of(job string, p benchmarks.PubSub) string { return job + "/pubsub=" + p.Name }

// columns are the figures that are compared, by column, which the verdict calls
// by name.
var columns = []struct{ head, name, job, unit string }{
	{" 1 → 1: CPU a message", "CPU, 1 → 1", pass, rounds.CPU},
	{" wall time", "wall time, 1 → 1", pass, rounds.Seconds},
	{" after a later one", "", pass, "late/op"},
	{" there and back: CPU", "CPU, there and back", handoff, rounds.CPU},
	{" wall time", "wall time, there and back", handoff, rounds.Seconds},
	{" stuck subscriber: published", "", stuck, published},
	{" goroutines", "", stuck, "goroutines"},
	{" memory a message", "", stuck, rounds.BytesEach},
}

const published = "published"

// markdown returns the table, in which the first Pub/Sub is what the others are
// compared to, and where the last is the faster one.
func markdown(r *rounds.Results) string {
	rows, faster := [][]string{{""}}, []string(nil)
	for _, c := range columns {
		rows[0] = append(rows[0], c.head)
	}
	for i, p := range benchmarks.PubSubs {
		row := []string{p.Title}
		for _, c := range columns {
			s := r.Of(of(c.job, p), c.unit)
			cell := show(c.unit, s.Median())
			if ratio := s.Over(r.Of(of(c.job, benchmarks.PubSubs[0]), c.unit)).Median(); i > 0 && c.name != "" {
				cell += " (" + rounds.Times(ratio) + ")"
				if i == len(benchmarks.PubSubs)-1 && ratio < 1 {
					faster = append(faster, fmt.Sprintf("%s (%s)", c.name, rounds.Times(ratio)))
				}
			}
			// The memory by message says little of a few.
			if c.unit == rounds.BytesEach && r.Of(of(stuck, p), published).Median() < 100 {
				cell = "the publisher waits"
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	verdict := "Block is nowhere the faster one."
	if faster != nil {
		verdict = "Block takes less than memstreamer in: " + strings.Join(faster, "; ") + "."
	}
	return rounds.Table(rows) + "\n" + verdict + "\n"
}

func show(unit string, v float64) string {
	switch unit {
	case "late/op":
		return fmt.Sprintf("%.0f%%", 100*v)
	case published, "goroutines":
		return fmt.Sprintf("%.0f", v)
	}
	return rounds.Show(unit, v)
}
