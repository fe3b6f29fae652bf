// Command onefile measures luno/workflow with its records and events in one SQLite file:
// with the engine's outbox, and with a record and its event in one transaction. It makes a
// table of RESULTS.md:
//
//	go run -C lab/benchmarks ./onefile -h
package main

import (
	"time"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func main() { command.Main() }

var command = rounds.Command{
	Name:    "onefile",
	About:   "Onefile measures luno/workflow with its records and events in one SQLite file.",
	Rounds:  5,
	Round:   3 * time.Minute,
	Plan:    rounds.Plan(rounds.Peers, columns, peers...),
	Outputs: []rounds.Output{{File: "lab/benchmarks/RESULTS.md", Section: "onefile", Text: text}},
}

var peers = func() (all []benchmarks.Peer) {
	for _, f := range benchmarks.OneFiles {
		all = append(all, f.Peer)
	}
	return all
}()

const (
	at20  = "OneFile/load=20/peer="
	at100 = "OneFile/load=100/peer="
	mean  = "mean-sec"
	p99   = "p99-sec"
)

var (
	slow    = rounds.Figure{Head: "mean at 20 a second", Job: at20, Unit: mean, Time: "200x"}
	slowest = rounds.Figure{Head: "p99", Job: at20, Unit: p99, Time: "200x"}
	busy    = rounds.Figure{Head: "CPU at 100 a second", Job: at100, Unit: rounds.CPU, Time: "1000x"}
	atOnce  = rounds.Figure{Head: "2,000 at once, each", Job: "OneFile/load=at-once/peer=", Unit: rounds.Seconds, Time: "2000x"}
	idle    = rounds.Figure{Head: "idle, cores", Job: "OneFileIdle/peer=", Unit: rounds.Cores, Time: "6x"}
	await   = rounds.Figure{Head: "Await beside 1,200 events", Job: "OneFileAwait/peer=", Unit: rounds.Seconds, Time: "200x"}

	columns = []rounds.Figure{slow, slowest, busy, atOnce, idle, await}
)

// goals are those of the peers.
var goals = [][]rounds.Goal{
	1: {
		{Figure: slow, Bar: 1.5e-3},
		{Figure: slowest, Bar: 5e-3, Why: checkpoints},
		{Figure: busy, Bar: 1.2e-3},
		{Figure: atOnce, Over: peers[0], Bar: 0.3},
		{Figure: idle, Bar: 0.0002},
		{Figure: await, Bar: 1e-3},
	},
	2: {
		{Figure: slow, Bar: 1e-3},
		{Figure: slowest, Bar: 4e-3, Why: checkpoints},
		{Figure: busy, Bar: 0.8e-3},
	},
	4: {{Figure: slow, Bar: 2.5e-3}},
}

const checkpoints = "a run in twenty waits for a checkpoint, which syncs the file: see the one that is tuned"

func text(r *rounds.Results) string {
	all := rounds.Table{Corner: "a run of five steps on", Figures: columns, Peers: peers, Interval: true}.Markdown(r) + `
Eight workflows of five steps that do nothing, on luno/workflow v0.5.0, SQLite by
modernc.org/sqlite with a write-ahead log and a pool of one. CPU is a run's. Tuned is
wal_autocheckpoint(10000) and locking_mode(EXCLUSIVE).
`
	for i, p := range peers {
		if len(goals[i]) > 0 {
			all += "\n" + r.Goals(goals[i], p)
		}
	}
	return all
}
