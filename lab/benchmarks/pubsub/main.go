// Command pubsub does the same jobs with memstreamer's Watermill Pub/Sub and with
// Watermill's own for one process, GoChannel, and makes the table of watermill's
// README:
//
//	go run -C lab/benchmarks ./pubsub -h
package main

import (
	"fmt"
	"strings"
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
	Plan:    rounds.Plan(rounds.Peers, columns, benchmarks.PubSubs...),
	Outputs: []rounds.Output{{File: "watermill/README.md", Section: "pubsub", Text: markdown}},
}

const (
	pass    = "PubSubPass/peer="
	handoff = "PubSubHandoff/peer="
	stuck   = "PubSubStuck/peer="
)

var (
	published = rounds.Figure{Head: "stuck subscriber: published", Job: stuck, Unit: "published", Time: "5000x"}
	columns   = []rounds.Figure{
		{Head: "1 → 1: CPU a message", Job: pass, Unit: rounds.CPU, Time: "20000x"},
		{Head: "1 → 1: wall time", Job: pass, Unit: rounds.Seconds, Time: "20000x"},
		{Head: "after a later one", Job: pass, Unit: rounds.Late, Time: "20000x"},
		{Head: "there and back: CPU", Job: handoff, Unit: rounds.CPU, Time: "5000x"},
		{Head: "there and back: wall time", Job: handoff, Unit: rounds.Seconds, Time: "5000x"},
		published,
		{Head: "goroutines", Job: stuck, Unit: "goroutines", Time: "5000x"},
		{Head: "memory a message", Job: stuck, Unit: rounds.BytesEach, Time: "5000x"},
	}
)

// markdown returns the table, and says where the last Pub/Sub is the faster one.
func markdown(r *rounds.Results) string {
	text := rounds.Table{Figures: columns, Peers: benchmarks.PubSubs, Ratio: true, Instead: func(f rounds.Figure, p benchmarks.Peer) string {
		// The memory by message says little of a few.
		if f.Unit == rounds.BytesEach && r.Of(published, p).Median() < 100 {
			return "the publisher waits"
		}
		return ""
	}}.Markdown(r)
	var faster []string
	block := benchmarks.PubSubs[len(benchmarks.PubSubs)-1]
	for _, f := range columns {
		ratio := r.Of(f, block).Over(r.Of(f, benchmarks.PubSubs[0])).Median()
		if (f.Unit == rounds.CPU || f.Unit == rounds.Seconds) && ratio < 1 {
			faster = append(faster, fmt.Sprintf("%s (%s)", f.Head, rounds.Times(ratio)))
		}
	}
	if faster == nil {
		return text + "\nGoChannel with Block is nowhere faster than memstreamer.\n"
	}
	return text + "\nGoChannel with Block uses less than memstreamer: " + strings.Join(faster, "; ") + ".\n"
}
