// Command durable measures memstreamer's contract on SQLite and on JetStream beside
// memstreamer in memory. It makes the tables of sqlite's and of jetstream's README:
//
//	go run -C lab/benchmarks ./durable -h
package main

import (
	"fmt"
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
	Plan:   plan,
	Outputs: []rounds.Output{
		{File: "sqlite/README.md", Section: "results", Text: onSQLite},
		{File: "jetstream/README.md", Section: "results", Text: onJetStream},
	},
}

const (
	lab  = "github.com/memstreamer/memstreamer/lab"
	stop = "Stop"
	recv = "recv-sec/op"
)

// cluster is measured where its servers are.
var cluster = benchmarks.Peer{Name: "cluster", Title: "JetStream, 3 replicas"}

// jobs are the rows, by benchmark.
var jobs = []struct{ name, title string }{
	{"Send", "Send"},
	{"SendAtOnce", "Send, an event of eight senders"},
	{"Recv", "Recv and Ack, of events that wait"},
	{"Handoff", "there and back, each to a Recv that waits"},
}

var kept = []int{1000, 10_000, 100_000, 1_000_000}

func of(job string, p benchmarks.Peer) string { return job + "/peer=" + p.Name }

func opened(kept int) string { return "Open/kept=" + strconv.Itoa(kept) }

var idle = of("Idle", benchmarks.Durables[0])

func plan(quick bool) (all []rounds.Benchmark) {
	add := func(pkg, name, time string, short bool) {
		if quick {
			time, short = "1x", true
		}
		all = append(all, rounds.Benchmark{Package: lab + pkg, Name: name, Time: time, Short: short})
	}
	for _, job := range jobs {
		// In short, so that Recv has a backlog of a thousand events.
		add("/benchmarks", of(job.name, benchmarks.Peers[0]), "1s", true)
		for _, p := range benchmarks.Durables {
			add("/benchmarks", of(job.name, p), "1s", true)
		}
		add("/chaos", of(job.name, cluster), "1s", true)
	}
	add("/benchmarks", idle, "10x", false)
	for _, n := range kept {
		add("/benchmarks", opened(n), "3x", false)
	}
	add("/benchmarks", stop, "1x", false)
	return all
}

func onSQLite(r *rounds.Results) string {
	rows := [][]string{{" events kept", " New", " New, an event", " Recv and Ack"}}
	for _, n := range kept {
		took := r.Of(opened(n), rounds.Seconds).Median()
		rows = append(rows, []string{
			humanize.Comma(int64(n)), rounds.Show(rounds.Seconds, took), rounds.Show(rounds.Seconds, took/float64(n)),
			rounds.Show(rounds.Seconds, r.Of(opened(n), recv).Median()),
		})
	}
	return fmt.Sprintf("With 64 receivers parked: %s cores.\n\n", rounds.Show(rounds.Cores, r.Of(idle, rounds.Cores).Median())) +
		table(r, benchmarks.Durables[:3]...) + "\n" + rounds.Table(rows)
}

func onJetStream(r *rounds.Results) string {
	return table(r, benchmarks.Durables[2], benchmarks.Durables[3], cluster) +
		fmt.Sprintf("\n`stop` of an embedded server with 1,000 cursors takes %s.\n", rounds.Show(rounds.Seconds, r.Of(stop, rounds.Seconds).Median()))
}

// table has the jobs by row, in memory and on others.
func table(r *rounds.Results, others ...benchmarks.Peer) string {
	rows := [][]string{{"", " in memory"}}
	for _, p := range others {
		rows[0] = append(rows[0], " "+p.Title)
	}
	for _, job := range jobs {
		row := []string{job.title}
		for _, p := range append([]benchmarks.Peer{benchmarks.Peers[0]}, others...) {
			row = append(row, rounds.Show(rounds.Seconds, r.Of(of(job.name, p), rounds.Seconds).Median()))
		}
		rows = append(rows, row)
	}
	return rounds.Table(rows)
}
