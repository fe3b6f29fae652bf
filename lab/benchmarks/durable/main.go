// Command durable measures memstreamer's contract on SQLite and on JetStream beside
// memstreamer in memory. It makes the tables of sqlite's and of jetstream's README:
//
//	go run -C lab/benchmarks ./durable -h
package main

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func main() { command.Main() }

var command = rounds.Command{
	Name:   "durable",
	About:  "Durable measures the contract on SQLite and on JetStream, beside memstreamer in memory.",
	Rounds: 5,
	Round:  2 * time.Minute,
	Plan: slices.Concat(
		rounds.Plan(rounds.Peers, jobs, append([]benchmarks.Peer{memory}, benchmarks.Durables...)...),
		rounds.Plan(rounds.Chaos, jobs, cluster),
		rounds.Plan(rounds.Peers, []rounds.Figure{idle}, onDisk),
		rounds.Plan(rounds.Peers, opened, kept...),
		rounds.Plan(rounds.Peers, []rounds.Figure{stop}, benchmarks.Peer{}),
	),
	Outputs: []rounds.Output{
		{File: "sqlite/README.md", Section: "results", Text: onSQLite},
		{File: "jetstream/README.md", Section: "results", Text: onJetStream},
	},
}

var (
	memory = benchmarks.Peer{Name: "memstreamer", Title: "in memory"}
	onDisk = benchmarks.Durables[0]
	// cluster is measured where its servers are.
	cluster = benchmarks.Peer{Name: "cluster", Title: "JetStream, 3 replicas"}
	kept    = keeping(1000, 10_000, 100_000, 1_000_000)
)

func keeping(events ...int64) (all []benchmarks.Peer) {
	for _, n := range events {
		all = append(all, benchmarks.Peer{Name: strconv.FormatInt(n, 10), Title: humanize.Comma(n)})
	}
	return all
}

// jobs run in short, so that Recv has a backlog of a thousand events.
var jobs = []rounds.Figure{
	{Head: "Send", Job: "Send/peer=", Unit: rounds.Seconds, Time: "1s", Short: true},
	{Head: "Send, an event of eight senders", Job: "SendAtOnce/peer=", Unit: rounds.Seconds, Time: "1s", Short: true},
	{Head: "Recv and Ack, of events that wait", Job: "Recv/peer=", Unit: rounds.Seconds, Time: "1s", Short: true},
	{Head: "there and back, each to a Recv that waits", Job: "Handoff/peer=", Unit: rounds.Seconds, Time: "1s", Short: true},
}

var opened = []rounds.Figure{
	{Head: "New", Job: "Open/kept=", Unit: rounds.Seconds, Time: "3x"},
	{Head: "New, an event", Job: "Open/kept=", Unit: "open-sec/event", Time: "3x"},
	{Head: "Recv and Ack", Job: "Open/kept=", Unit: "recv-sec/op", Time: "3x"},
}

var (
	idle = rounds.Figure{Job: "Idle/receivers=64/peer=", Unit: rounds.Cores, Time: "10x"}
	stop = rounds.Figure{Job: "Stop", Unit: rounds.Seconds, Time: "1x"}
)

func onSQLite(r *rounds.Results) string {
	return fmt.Sprintf("With 64 receivers parked: %s cores.\n\n", rounds.Show(rounds.Cores, r.Of(idle, onDisk).Median())) +
		table(r, benchmarks.Durables[:3]...) + "\n" +
		rounds.Table{Corner: "events kept", Figures: opened, Peers: kept}.Markdown(r)
}

func onJetStream(r *rounds.Results) string {
	return table(r, benchmarks.Durables[2], benchmarks.Durables[3], cluster) +
		fmt.Sprintf("\n`stop` of an embedded server with 1,000 cursors takes %s.\n", rounds.Show(rounds.Seconds, r.Of(stop, benchmarks.Peer{}).Median()))
}

// table has the jobs, in memory and on others.
func table(r *rounds.Results, others ...benchmarks.Peer) string {
	return rounds.Table{Figures: jobs, Peers: append([]benchmarks.Peer{memory}, others...)}.Markdown(r)
}
