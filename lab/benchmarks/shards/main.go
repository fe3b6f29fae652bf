// Command shards measures runs of luno/workflow whose five steps have a ParallelCount of
// 1, 4 and 16, on memstreamer in memory and in one file. It makes a table of RESULTS.md:
//
//	go run -C lab/benchmarks ./shards -h
package main

import (
	"time"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func main() { command.Main() }

var command = rounds.Command{
	Name:    "shards",
	About:   "Shards measures luno/workflow whose steps have a ParallelCount of 1, 4 and 16.",
	Rounds:  5,
	Round:   time.Minute,
	Plan:    rounds.Plan(rounds.Peers, columns, peers...),
	Outputs: []rounds.Output{{File: "lab/benchmarks/RESULTS.md", Section: "shards", Text: text}},
}

var peers = func() (all []benchmarks.Peer) {
	for _, s := range benchmarks.Shardeds {
		all = append(all, s.Peer)
	}
	return all
}()

const job = "Shards/peer="

var (
	cpu     = rounds.Figure{Head: "CPU", Job: job, Unit: rounds.CPU, Time: "1000x"}
	mean    = rounds.Figure{Head: "mean", Job: job, Unit: "mean-sec", Time: "1000x"}
	columns = []rounds.Figure{cpu, mean}
)

func text(r *rounds.Results) string {
	all := rounds.Table{Corner: "a run of five steps, shards of each", Figures: columns, Peers: peers, Interval: true}.Markdown(r) + `
Eight workflows of five steps that do nothing, on luno/workflow v0.5.0, 100 runs a second,
with records in memory and the outbox parked. CPU is a run's.
`
	for _, of := range [][]benchmarks.Peer{peers[:3], peers[3:]} {
		goals := []rounds.Goal{{Figure: cpu, Over: of[0], Bar: 1.15}, {Figure: mean, Over: of[0], Bar: 1.2}}
		all += "\n" + r.Goals(goals, of[2])
	}
	return all
}
