package main

import (
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/memstreamer/memstreamer/benchmarks"
)

// markdown is RESULTS.md.
func markdown(r *results) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Results

Written by `+"`go run -C benchmarks ./report`"+` from %s of one run, on %s.
Each benchmark ran once a round, in a process of its own. A figure is the median
of its rounds, ± is half their range, and a ratio is taken round by round before
its median is. Every event has the six headers that an engine's outbox sets, made
afresh for it, and every context can be cancelled.

## Against peers

%s
![Hand-off by peer](results.svg)

## Against the targets

%s
## While waiting

Cores used by receivers that wait, each on a topic of its own.

%s
![Cores used by waiting receivers](idle.svg)

## Every benchmark of the library

%s`,
		count(r.rounds, "round"), machine(r), tableStart+"\n"+peersTable(r)+tableEnd+"\n",
		targetsTable(r), idleTable(r), libraryTable(r))
	return b.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func machine(r *results) string {
	return fmt.Sprintf("%s, %s, %s/%s, %s", r.cpu, count(runtime.NumCPU(), "core"), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// table writes rows of cells; the first is its head. A column is aligned right
// where its head starts with a space.
func table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("|")
		for _, cell := range row {
			b.WriteString(" " + strings.TrimSpace(cell) + " |")
		}
		b.WriteString("\n")
		if i > 0 {
			continue
		}
		b.WriteString("|")
		for _, cell := range row {
			if strings.HasPrefix(cell, " ") {
				b.WriteString("---:|")
			} else {
				b.WriteString("---|")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// peersTable is the table that the README shows too.
func peersTable(r *results) string {
	ours := benchmarks.Peers[0].Name
	jobs := []struct {
		head, bench, unit string
		format            func(float64) string
	}{
		{" hand-off, there and back", "Handoff/", seconds, duration},
		{" events, 1 → 1", "Pass/1to1/", eventRate, rate},
		{" events, 1 → 8", "Pass/1to8/", eventRate, rate},
		{" heap an event", "Retained/", bytesEach, size},
		{" cores, 64 waiting", "Idle/", cores, coresUsed},
	}
	head := []string{""}
	for _, job := range jobs {
		head = append(head, job.head)
	}
	rows := [][]string{append(head, "what it lacks")}
	for _, peer := range benchmarks.Peers {
		row := []string{peer.Title}
		for _, module := range peer.Modules {
			row[0] += "<br>" + version(module)
		}
		for _, job := range jobs {
			if job.unit == bytesEach && !peer.Keeps {
				row = append(row, "keeps none")
				continue
			}
			s := r.of(peers, job.bench+peer.Name, job.unit)
			cell := job.format(s.median()) + " " + plusMinus(s.spread())
			// Of cores there is a floor that is noise, and no ratio to it.
			if peer.Name != ours && job.unit != cores {
				cell += "<br>" + times(s.over(r.of(peers, job.bench+ours, job.unit)).median())
			}
			row = append(row, cell)
		}
		rows = append(rows, append(row, peer.Lacks))
	}
	return table(rows) + fmt.Sprintf(`
The median of %s, ± half their range, and below it the ratio to memstreamer. A
ratio below 1 is better for times and bytes, and worse for events a second. An
event that reaches eight receivers counts once. JetStream sends the events of the
two runs without waiting for each. Measured on %s.
`, count(r.rounds, "round"), machine(r))
}

// version names a module of this build with its version.
func version(module string) string {
	name := path.Base(strings.TrimSuffix(module, "/v2"))
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == module {
				return name + " " + dep.Version
			}
		}
	}
	return name + " of unknown version"
}

func targetsTable(r *results) string {
	rows := [][]string{{"what", "to", " measured", " ratio", " bar", ""}}
	verdict := func(met bool) string {
		if met {
			return "met"
		}
		return "missed"
	}
	parked := r.of(library, "Idle/park/10000", cores)
	rows = append(rows, []string{
		"CPU of 10,000 parked receivers",
		fmt.Sprintf("none, %s cores", coresUsed(r.of(library, "Idle/park/0", cores).median())),
		coresUsed(parked.median()) + " cores", "", "0.001 cores", verdict(parked.median() <= 0.001),
	})
	for _, target := range []struct {
		what, to   string
		suite      suite
		of, over   string
		unit       string
		bar        float64
		comparison bool // there is no bar
	}{
		{what: "hand-off", to: "plain parking", of: "Handoff/ours", over: "Handoff/plain", bar: 0.9},
		{what: "hand-off", to: "the bare cond ping-pong", of: "Handoff/ours", over: "Handoff/cond", bar: 8},
		{what: "hand-off through As", to: "direct", of: "Handoff/as", over: "Handoff/ours", bar: 1.05},
		{what: "hand-off beside 10,000 parked receivers", to: "alone", of: "HandoffBesideIdle/10000", over: "HandoffBesideIdle/0", bar: 1.1},
		{what: "the same of plain parking", to: "alone", of: "HandoffBesideIdle/plain/10000", over: "HandoffBesideIdle/plain/0", comparison: true},
		{what: "Recv and Ack of a backlog", to: "plain parking", of: "Recv/ours", over: "Recv/plain", bar: 0.4},
		{what: "Send, no receiver waiting", to: "plain parking", of: "Send/ours", over: "Send/plain", bar: 1},
		{what: "first event of one topic in 1,000", to: "the only topic", of: "SparseTopic/1000", over: "SparseTopic/1", bar: 1.2},
		{what: "live heap an event", to: "plain parking", of: "Retained/ours", over: "Retained/plain", unit: bytesEach, bar: 0.55},
		{what: "hand-off", to: "Watermill GoChannel", suite: peers, of: "Handoff/ours", over: "Handoff/watermill", bar: 0.33},
		{what: "hand-off", to: "NATS JetStream, in process", suite: peers, of: "Handoff/ours", over: "Handoff/jetstream", bar: 0.05},
	} {
		format := duration
		if target.unit == "" {
			target.unit = seconds
		} else {
			format = size
		}
		if target.suite == "" {
			target.suite = library
		}
		of, over := r.of(target.suite, target.of, target.unit), r.of(target.suite, target.over, target.unit)
		ratio := of.over(over)
		row := []string{
			target.what, target.to + ", " + format(over.median()),
			format(of.median()), times(ratio.median()) + " " + plusMinus(ratio.spread()), "", "",
		}
		if !target.comparison {
			row[4], row[5] = times(target.bar), verdict(ratio.median() <= target.bar)
		}
		rows = append(rows, row)
	}
	return table(rows)
}

func idleTable(r *results) string {
	rows := [][]string{{" receivers", " parked (memstreamer)", " spinning (polling)"}}
	for _, receivers := range []int{0, 1, 2, 8, 100, 10_000} {
		row := []string{fmt.Sprint(receivers)}
		for _, how := range []string{"park", "spin"} {
			cell := ""
			if s, ok := r.values[figure{library, fmt.Sprintf("Idle/%s/%d", how, receivers), cores}]; ok {
				cell = coresUsed(s.median()) + " " + plusMinus(s.spread())
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return table(rows)
}

func libraryTable(r *results) string {
	rows := [][]string{{"benchmark", " time an operation", " bytes allocated", " allocations", " beside"}}
	for _, b := range plan() {
		if b.suite != library || strings.HasPrefix(b.name, "Idle/") {
			continue
		}
		of := func(unit string) sample { return r.of(library, b.name, unit) }
		beside := ""
		if s, ok := r.values[figure{library, b.name, bytesEach}]; ok {
			beside = size(s.median()) + " an event"
		}
		rows = append(rows, []string{
			b.name,
			duration(of(seconds).median()) + " " + plusMinus(of(seconds).spread()),
			fmt.Sprintf("%.0f", of(bytesPerOp).median()),
			fmt.Sprintf("%.0f", of(allocs).median()),
			beside,
		})
	}
	return table(rows)
}
