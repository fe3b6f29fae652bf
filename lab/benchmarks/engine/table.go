package main

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

// The units of the benchmarks of the engine, as benchfmt spells them.
const (
	mean  = "mean-sec"
	p99   = "p99-sec"
	late  = "late"
	pairs = "pairs"
	names = "names"
)

// The benchmarks, without the arrangement.
const (
	slow   = "Engine/load=20/"
	fast   = "Engine/load=200/"
	atOnce = "Engine/load=at-once/"
	idle   = "EngineIdle/"
	await  = "EngineAwait/"
	named  = "EngineNames/"
)

// of returns the benchmark of job on a.
func of(job string, a benchmarks.Arrangement) string { return job + "on=" + a.Name }

// The arrangements.
var (
	adapter       = benchmarks.Arrangements[0]
	adapterParked = benchmarks.Arrangements[2]
	oursParked    = benchmarks.Arrangements[3]
)

// plan has what is compared one after the other.
func (c sizes) plan() (all []rounds.Benchmark) {
	of := func(job string, n int, arrangements []benchmarks.Arrangement) {
		for _, a := range arrangements {
			all = append(all, rounds.Benchmark{
				Package: "github.com/memstreamer/memstreamer/lab/benchmarks",
				Name:    of(job, a),
				Time:    fmt.Sprintf("%dx", n),
			})
		}
	}
	of(slow, c.slow, benchmarks.Arrangements)
	of(fast, c.fast, benchmarks.Arrangements)
	of(atOnce, c.atOnce, benchmarks.Arrangements)
	of(idle, c.idle, benchmarks.Arrangements)
	of(await, c.late, benchmarks.Arrangements[2:])
	of(named, c.awaits, benchmarks.Arrangements[2:])
	return all
}

// columns are the figures of each arrangement. Those in short are the README's.
var columns = []struct {
	head, job, unit string
	short           bool
}{
	{" mean at 20 a second", slow, mean, true},
	{" p99", slow, p99, true},
	{" CPU", slow, rounds.CPU, false},
	{" mean at 200 a second", fast, mean, true},
	{" p99", fast, p99, false},
	{" CPU", fast, rounds.CPU, false},
	{" mean of all at once", atOnce, mean, false},
	{" CPU of all at once", atOnce, rounds.CPU, true},
	{" idle, cores", idle, rounds.Cores, true},
}

// report is what is written of results.
type report struct {
	*rounds.Results
	sizes
}

// short is the section of the README.
func short(r *rounds.Results) string {
	s := report{r, sized(r.Quick)}
	return s.table(true) + s.note()
}

// long is the section of RESULTS.md.
func long(r *rounds.Results) string {
	s := report{r, sized(r.Quick)}
	return s.table(false) + "\n± is half the range of the rounds.\n" + s.note() + "\n" + s.targets() + "\n" + s.awaited()
}

// note says what the figures are of, and what they are not of.
func (r report) note() string {
	return fmt.Sprintf(`
Eight workflows of five steps that do nothing, on luno/workflow v0.5.0; all at once are
%s runs, and CPU is a run's. A run waits for the engine's outbox, where the engine looks
every 250 ms: that is the gain, so expect none for steps that are slow themselves. Under
load (a tenth of the tries fail, timers of 20 to 30 ms), CPU and end-to-end times are
about equal.
`, humanize.Comma(int64(r.atOnce)))
}

func (r report) table(short bool) string {
	rows := [][]string{{"a run of five steps on"}}
	for _, c := range columns {
		if c.short || !short {
			rows[0] = append(rows[0], c.head)
		}
	}
	for _, a := range benchmarks.Arrangements {
		row := []string{a.Title}
		for _, c := range columns {
			if !c.short && short {
				continue
			}
			s := r.Of(of(c.job, a), c.unit)
			cell := rounds.Show(c.unit, s.Median())
			if !short {
				cell += fmt.Sprintf(" ±%.0f%%", 100*s.Spread())
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rounds.Table(rows)
}

// targets is the table of the project's goals for memstreamer with the outbox parked.
func (r report) targets() string {
	rows := [][]string{{"memstreamer, outbox parked", "over", " measured", " goal", ""}}
	add := func(what, over string, v, goal float64, show func(float64) string) {
		verdict := "met"
		if v > goal {
			verdict = "missed"
		}
		rows = append(rows, []string{what, over, show(v), "≤ " + show(goal), verdict})
	}
	for _, t := range []struct {
		what, job, unit string
		over            benchmarks.Arrangement
		goal            float64
	}{
		{"mean at 20 a second", slow, mean, adapter, 0.001},
		{"mean at 20 a second", slow, mean, adapterParked, 0.8},
		{"CPU of all at once", atOnce, rounds.CPU, adapter, 0.6},
		{"CPU of all at once", atOnce, rounds.CPU, adapterParked, 0.6},
	} {
		ratio := r.Of(of(t.job, oursParked), t.unit).Over(r.Of(of(t.job, t.over), t.unit)).Median()
		add(t.what, t.over.Title, ratio, t.goal, times)
	}
	add("idle, cores", "", r.Of(of(idle, oursParked), rounds.Cores).Median(), 0.0003,
		func(v float64) string { return rounds.Show(rounds.Cores, v) })
	return rounds.Table(rows)
}

// times writes a ratio, also one far below 1.
func times(ratio float64) string {
	if ratio < 0.01 {
		return fmt.Sprintf("%.5f×", ratio)
	}
	return rounds.Times(ratio)
}

// awaited is the table of the calls of Await.
func (r report) awaited() string {
	rows := [][]string{{"outbox parked", " Await 500 ms after the end", " two Awaits at once", fmt.Sprintf(" names after %s Awaits", humanize.Comma(int64(r.awaits)))}}
	for _, a := range []benchmarks.Arrangement{adapterParked, oursParked} {
		count := func(job, unit string) string { return fmt.Sprintf("%.0f", r.Of(of(job, a), unit).Median()) }
		rows = append(rows, []string{
			strings.TrimSuffix(a.Title, ", outbox parked"),
			fmt.Sprintf("%s of %d return", count(await, late), r.late),
			fmt.Sprintf("both return for %s of %d runs", count(await, pairs), r.late),
			count(named, names),
		})
	}
	return rounds.Table(rows) + "\nEight names are those of the steps and of the engine's own consumers.\n"
}
