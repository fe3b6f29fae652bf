package main

import (
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/memstreamer/memstreamer/benchmarks"
)

// markdown is RESULTS.md.
func markdown(r *results) string {
	quick := ""
	if r.quick {
		quick = "**" + quickNote + "**\n\n"
	}
	return fmt.Sprintf(`# Results

%sWritten by `+"`go run -C benchmarks ./report`"+` from %s of one run of %v, on
%s.

Each benchmark ran once a round, in a process of its own. A figure is the median
of its rounds, ± is half their range, and a ratio is taken round by round before
its median is. Every event has the six headers that an engine's outbox sets, made
afresh for it in %s, which the figures include.

## In short

%s
## Beside its peers

%s
![Time of a hand-off, by peer](results.svg)

## The project's own targets

Goals that memstreamer has set itself. CPU is the processor time of the whole
process, garbage collections included. With retention, what was acked is dropped
within milliseconds where the benchmark does not need it kept.

%s
## While waiting

![Cores used by waiting receivers](idle.svg)
`,
		quick, count(r.rounds, "round"), r.took, machine(r), duration(r.of(library, "Outbox", seconds).median()),
		tableStart+"\n"+summary(r)+tableEnd+"\n", peersTable(r), targetsTable(r))
}

const quickNote = "A quick run: its figures mean nothing."

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func machine(r *results) string {
	return fmt.Sprintf("%s, %s, %s/%s, %s", r.cpu, count(runtime.GOMAXPROCS(0), "core"), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// table writes rows of cells; the first is its head. A column is aligned right
// where its head starts with a space.
func table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		rule := "|"
		for _, cell := range row {
			if strings.HasPrefix(cell, " ") {
				rule += "---:|"
			} else {
				rule += "---|"
			}
			b.WriteString("| " + strings.TrimSpace(cell) + " ")
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString(rule + "\n")
		}
	}
	return b.String()
}

// column is a job that every peer does.
type column struct {
	head, job, time, unit string
	short                 bool // is in the table in short
}

var columns = []column{
	{" hand-off, there and back", "Handoff", "500ms", seconds, true},
	{" the same beside busy goroutines", "HandoffBesideBusy", "1s", seconds, true},
	{" events/s, 1 → 1", "Pass/receivers=1", "1x", eventRate, true},
	{" events/s, 1 → 8", "Pass/receivers=8", "1x", eventRate, false},
	{" heap an event", "Retained", "1x", bytesEach, true},
	{" cores, 64 waiting", "Idle", "1x", cores, false},
}

// has reports whether peer does the job.
func (c column) has(peer benchmarks.Peer) bool { return c.unit != bytesEach || !peer.Forgets }

func (c column) of(r *results, peer benchmarks.Peer) sample {
	return r.of(peers, c.job+"/peer="+peer.Name, c.unit)
}

// summary is the table in short, which the README shows too.
func summary(r *results) string {
	long := func(c column) bool { return !c.short }
	return peersRows(slices.DeleteFunc(slices.Clone(columns), long), func(peer benchmarks.Peer) string {
		if !peer.Short {
			return ""
		}
		return fmt.Sprintf("- %s: %s\n", peer.Title, peer.Is)
	}, func(c column, peer benchmarks.Peer) string { return show(c.unit, c.of(r, peer).median()) })
}

func peersTable(r *results) string {
	ours := benchmarks.Peers[0]
	return peersRows(columns, func(peer benchmarks.Peer) string {
		note := "- " + peer.Title + versions(peer) + ": " + peer.Is
		if peer.Lacks != "" {
			note += ". It lacks " + peer.Lacks
		}
		return note + ".\n"
	}, func(c column, peer benchmarks.Peer) string {
		s := c.of(r, peer)
		cell := show(c.unit, s.median()) + " " + plusMinus(s.spread())
		// Of cores there is a floor that is noise, and no ratio to it.
		if peer.Name != ours.Name && c.unit != cores {
			cell += "<br>" + times(s.over(c.of(r, ours)).median())
		}
		return cell
	}) + `
Below a median is its ratio to memstreamer: a ratio below 1 is better for times and
bytes, and worse for events a second. The busy goroutines compute, two for each
processor. An event that reaches eight receivers counts once. JetStream sends the
events of the two runs without waiting for each.
`
}

// peersRows is a table of the peers that have a note, with the notes below it.
func peersRows(columns []column, note func(benchmarks.Peer) string, cell func(column, benchmarks.Peer) string) string {
	rows := [][]string{{""}}
	for _, c := range columns {
		rows[0] = append(rows[0], c.head)
	}
	notes := ""
	for _, peer := range benchmarks.Peers {
		if note(peer) == "" {
			continue
		}
		notes += note(peer)
		row := []string{peer.Title}
		for _, c := range columns {
			if c.has(peer) {
				row = append(row, cell(c, peer))
			} else {
				row = append(row, "keeps none")
			}
		}
		rows = append(rows, row)
	}
	return table(rows) + "\n" + notes
}

// versions names the modules of a peer with the versions in this build.
func versions(peer benchmarks.Peer) string {
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
	if names == nil {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

func targetsTable(r *results) string {
	rows := [][]string{{"what", "to", " measured", " ratio", " with retention", " bar", ""}}
	missed := ""
	for _, t := range targets() {
		show := func(v float64) string { return show(t.unit, v) }
		of := func(name string) sample { return r.of(t.suite, name, t.unit) }
		row := []string{t.what, "", "", "", "", "", "met"}
		if t.of != "" {
			row[2] = show(of(t.of).median())
		}
		// judged is held against the bar, and written in its unit.
		judged, unit := of, show
		if t.over != "" {
			over := of(t.over)
			row[1] = t.to + ", " + show(over.median())
			judged, unit = func(name string) sample { return of(name).over(over) }, times
			row[3] = times(judged(t.of).median()) + " " + plusMinus(judged(t.of).spread())
		}
		sign := "≤ "
		if t.atLeast {
			sign = "≥ "
		}
		row[5] = sign + unit(t.bar)
		if t.retaining != "" {
			row[4] = unit(judged(t.retaining).median())
			if !t.met(judged(t.retaining).median()) {
				row[6] = "missed with retention"
			}
		}
		if t.of != "" && !t.met(judged(t.of).median()) {
			row[6] = "missed"
		}
		if row[6] != "met" && t.why != "" {
			missed += fmt.Sprintf("- %s, missed: %s.\n", t.what, t.why)
		}
		rows = append(rows, row)
	}
	return table(rows) + "\n" + missed
}
