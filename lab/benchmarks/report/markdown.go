package main

import (
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

const quickNote = "A quick run: its figures mean nothing."

// markdown is RESULTS.md.
func (r report) markdown() string {
	quick := ""
	if r.quick {
		quick = "**" + quickNote + "**\n\n"
	}
	return fmt.Sprintf(`# Results

%sWritten by `+"`go run -C lab/benchmarks ./report`"+` from %s of one run of %v, on
%s.

Each benchmark ran once a round, in a process of its own. A figure is the median
of its rounds, ± is half their range, and a ratio is taken round by round before
its median is. Every event has the six headers that an engine's outbox sets, made
afresh for it in %s, which the figures include.

## In short

%s

## Beside its peers

%s
Below a median is its ratio to memstreamer: a ratio below 1 is better for times and
bytes, and worse for events a second. The busy goroutines compute, two for each
processor. An event that reaches eight receivers counts once. JetStream sends the
events of the two runs without waiting for each.

![Time of a hand-off, by peer](results.svg)

## luno/workflow itself

By `+"`go run -C lab/benchmarks ./engine -readme`"+`, which writes this section alone.

%s

## The project's own targets

Goals that memstreamer has set itself. CPU is the processor time of the whole
process, garbage collections included. With retention, what was acked is dropped
within milliseconds where the benchmark does not need it kept.

%s
## While waiting

![Cores used by waiting receivers](idle.svg)
`,
		quick, english.Plural(r.Rounds, "round", ""), r.Took, r.machine(), rounds.Show(rounds.Seconds, r.Of("Outbox", rounds.Seconds).Median()),
		rounds.Mark(section, r.peers(true)), r.peers(false), rounds.Mark(engine, r.engine), r.targets())
}

func (r report) machine() string {
	return fmt.Sprintf("%s, %s, %s/%s, %s", r.CPU, english.Plural(runtime.GOMAXPROCS(0), "core", ""), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// column is a job that every peer does.
type column struct {
	head, job, time, unit string
	short                 bool // is in the table in short
}

var columns = []column{
	{" hand-off, there and back", "Handoff", "500ms", rounds.Seconds, true},
	{" the same beside busy goroutines", "HandoffBesideBusy", "1s", rounds.Seconds, true},
	{" events/s, 1 → 1", "Pass/receivers=1", "1x", rounds.EventRate, true},
	{" events/s, 1 → 8", "Pass/receivers=8", "1x", rounds.EventRate, false},
	{" heap an event", "Retained", "1x", rounds.BytesEach, true},
	{" cores, 64 waiting", "Idle", "1x", rounds.Cores, false},
}

// does reports whether peer does the job of c.
func (c column) does(peer benchmarks.Peer) bool { return c.unit != rounds.BytesEach || !peer.Forgets }

func (c column) of(peer benchmarks.Peer) string { return c.job + "/peer=" + peer.Name }

// peers is the table of the peers, with a note on each below it. In short it is
// the one that the README shows too.
func (r report) peers(short bool) string {
	rows, notes := [][]string{{""}}, "\n"
	for _, c := range columns {
		if c.short || !short {
			rows[0] = append(rows[0], c.head)
		}
	}
	for _, peer := range benchmarks.Peers {
		if short && peer.Aside {
			continue
		}
		row := []string{peer.Title}
		for _, c := range columns {
			if c.short || !short {
				row = append(row, r.cell(c, peer, short))
			}
		}
		rows = append(rows, row)
		switch {
		case short:
			notes += fmt.Sprintf("- %s: %s\n", peer.Title, peer.Is)
		case peer.Lacks == "":
			notes += fmt.Sprintf("- %s: %s.\n", peer.Title, peer.Is)
		default:
			notes += fmt.Sprintf("- %s%s: %s. It lacks %s.\n", peer.Title, versions(peer), peer.Is, peer.Lacks)
		}
	}
	return rounds.Table(rows) + notes
}

func (r report) cell(c column, peer benchmarks.Peer, short bool) string {
	if !c.does(peer) {
		return "keeps none"
	}
	s := r.Of(c.of(peer), c.unit)
	cell := rounds.Show(c.unit, s.Median())
	if short {
		return cell
	}
	cell += plusMinus(s)
	// Of cores there is a floor that is noise, and no ratio to it.
	if ours := benchmarks.Peers[0]; peer.Name != ours.Name && c.unit != rounds.Cores {
		cell += "<br>" + rounds.Times(s.Over(r.Of(c.of(ours), c.unit)).Median())
	}
	return cell
}

func plusMinus(s rounds.Sample) string { return fmt.Sprintf(" ±%.0f%%", 100*s.Spread()) }

// versions names the modules of a peer with the versions in this build.
func versions(peer benchmarks.Peer) string {
	if peer.Modules == nil {
		return ""
	}
	of := make(map[string]string)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			of[dep.Path] = dep.Version
		}
	}
	var names []string
	for _, module := range peer.Modules {
		names = append(names, path.Base(strings.TrimSuffix(module, "/v2"))+" "+of[module])
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// targets is the table of the targets, and says why some are missed.
func (r report) targets() string {
	rows := [][]string{{"what", "to", " measured", " ratio", " with retention", " bar", ""}}
	missed := "\n"
	for _, t := range targets {
		names := t.benchmarks()
		// judge returns what is held against the bar, and show writes it.
		judge := func(name string) rounds.Sample { return r.Of(name, t.unit) }
		show := func(v float64) string { return rounds.Show(t.unit, v) }
		row := []string{t.what, "", "", "", "", "≤ ", "met"}
		if names[0] != "" {
			row[2] = show(judge(names[0]).Median())
		}
		if t.to != "" {
			peer := slices.IndexFunc(benchmarks.Peers, func(p benchmarks.Peer) bool { return p.Name == t.to })
			over := judge(names[2])
			row[1] = benchmarks.Peers[peer].Title + ", " + show(over.Median())
			judge, show = func(name string) rounds.Sample { return r.Of(name, t.unit).Over(over) }, rounds.Times
			row[3] = show(judge(names[0]).Median()) + plusMinus(judge(names[0]))
		}
		if names[1] != "" {
			row[4] = show(judge(names[1]).Median())
			if !t.met(judge(names[1]).Median()) {
				row[6] = "missed with retention"
			}
		}
		if t.unit == rounds.EventRate {
			row[5] = "≥ "
		}
		row[5] += show(t.bar)
		if names[0] != "" && !t.met(judge(names[0]).Median()) {
			row[6] = "missed"
		}
		if row[6] != "met" && t.why != "" {
			missed += fmt.Sprintf("- %s, missed: %s.\n", t.what, t.why)
		}
		rows = append(rows, row)
	}
	return rounds.Table(rows) + missed
}
