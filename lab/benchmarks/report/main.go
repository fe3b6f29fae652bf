// Command report measures memstreamer beside its peers and against its own goals. It
// makes tables of RESULTS.md and of the README, and the picture of what waiting costs:
//
//	go run -C lab/benchmarks ./report -h
package main

import (
	"fmt"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func main() { command.Main() }

const results = "lab/benchmarks/RESULTS.md"

var command = rounds.Command{
	Name:   "report",
	About:  "Report measures memstreamer beside its peers and against its own goals.",
	Rounds: 7,
	Round:  90 * time.Second,
	Plan:   plan(),
	Outputs: []rounds.Output{
		{File: "README.md", Section: "results", Text: short},
		{File: results, Section: "results", Text: short},
		{File: results, Section: "peers", Text: long},
		{File: results, Section: "goals", Text: func(r *rounds.Results) string {
			return r.Goals(goals, memstreamer, benchmarks.Dropping)
		}},
		{File: "lab/benchmarks/idle.svg", Text: drawIdle},
	},
}

var memstreamer, adapter, polling = benchmarks.Peers[0], benchmarks.Peers[1], benchmarks.Peers[2]

var (
	outbox     = rounds.Figure{Job: "Outbox", Unit: rounds.Seconds, Time: "500ms"}
	handoff    = rounds.Figure{Head: "hand-off, there and back", Job: "Handoff/peer=", Unit: rounds.Seconds, Time: "500ms"}
	busy       = rounds.Figure{Head: "the same beside busy goroutines", Job: "HandoffBesideBusy/peer=", Unit: rounds.Seconds, Time: "1s"}
	one        = rounds.Figure{Head: "events/s, 1 → 1", Job: "Pass/receivers=1/peer=", Unit: rounds.EventRate, Time: "100000x"}
	eight      = rounds.Figure{Head: "events/s, 1 → 8", Job: "Pass/receivers=8/peer=", Unit: rounds.EventRate, Time: "100000x"}
	retained   = rounds.Figure{Head: "heap an event", Job: "Retained/peer=", Unit: rounds.BytesEach, Time: "1x"}
	waiting    = rounds.Figure{Head: "cores, 64 waiting", Job: "Idle/receivers=64/peer=", Unit: rounds.Cores, Time: "2x"}
	send       = rounds.Figure{Head: "CPU of Send", Job: "Send/peer=", Unit: rounds.CPU, Time: "500000x"}
	recv       = rounds.Figure{Head: "CPU of Recv and Ack", Job: "Recv/peer=", Unit: rounds.CPU, Time: "1000000x"}
	collection = rounds.Figure{Head: "CPU of a garbage collection beside 2,000,000 events", Job: "Collection/peer=", Unit: rounds.CPU, Time: "5x"}
	most       = rounds.Figure{Head: "cores of 10,000 parked receivers", Job: "Idle/receivers=10000/peer=", Unit: rounds.Cores, Time: "4x"}
	sweep      = rounds.Figure{Head: "worst single call, 1,000,000 events expired", Job: "Sweep/peer=", Unit: rounds.Worst, Time: "1x"}
)

// goals have in Why what -cpuprofile shows.
var goals = []rounds.Goal{
	{Figure: busy, Over: adapter, Bar: 1},
	{Figure: handoff, Over: adapter, Bar: 1, Why: "a quarter of the profile is isolation, which the adapter lacks: a header map and a copy of the payload for each event; a tenth is setting and ending the watcher of the context"},
	{Figure: send, Over: adapter, Bar: 0.85},
	{Figure: recv, Over: adapter, Bar: 0.5, Why: "half of the profile is making the event's header map and the copy of its payload; the adapter hands out the sender's map"},
	{Figure: collection, Over: adapter, Bar: 0.03},
	{Figure: retained, Over: adapter, Bar: 0.38},
	{Figure: one, Over: polling, Bar: 1, Why: "memstreamer leaves almost twice the garbage, since each receiver gets a header map of its own, where polling shares the sender's"},
	{Figure: eight, Over: polling, Bar: 1, Why: "most of the processor time is Recv, which makes an event for each receiver, where those of polling share the sender's map"},
	{Figure: handoff, Over: named("watermill"), Bar: 0.4, Why: waking},
	{Figure: handoff, Over: named("jetstream"), Bar: 0.06, Why: waking},
	{Figure: most, Bar: 0.001},
	{Figure: sweep, Bar: 31e-6},
}

const waking = "of the profile, three tenths is the runtime parking and waking goroutines, a quarter isolation, and a sixth the benchmark's own outbox"

func named(name string) benchmarks.Peer {
	return benchmarks.Peers[slices.IndexFunc(benchmarks.Peers, func(p benchmarks.Peer) bool { return p.Name == name })]
}

// columns are those of the peers.
var columns = []rounds.Figure{handoff, busy, one, eight, retained, waiting}

// plan has what is compared one after the other.
func plan() (all []rounds.Benchmark) {
	add := func(pkg string, figures []rounds.Figure, peers ...benchmarks.Peer) {
		all = append(all, rounds.Plan(pkg, figures, peers...)...)
	}
	for _, f := range columns {
		var peers []benchmarks.Peer
		for _, p := range benchmarks.Peers {
			if keepsNone(f, p) == "" {
				peers = append(peers, p)
			}
		}
		if f != waiting {
			peers = append(peers, benchmarks.Dropping)
		}
		add(rounds.Peers, []rounds.Figure{f}, peers...)
	}
	add(rounds.Peers, []rounds.Figure{send, recv, collection}, memstreamer, adapter, benchmarks.Dropping)
	add(rounds.Peers, []rounds.Figure{most}, memstreamer, benchmarks.Dropping)
	add(rounds.Root, []rounds.Figure{sweep}, benchmarks.Dropping)
	add(rounds.Root, []rounds.Figure{outbox}, benchmarks.Peer{})
	for _, n := range few {
		add(rounds.Peers, []rounds.Figure{idle(n)}, memstreamer, polling)
	}
	return all
}

func keepsNone(f rounds.Figure, p benchmarks.Peer) string {
	if f == retained && p.Forgets {
		return "keeps none"
	}
	return ""
}

// short is the table of the README.
func short(r *rounds.Results) string {
	text := rounds.Table{Figures: []rounds.Figure{handoff, busy, one, retained}, Peers: benchmarks.Peers, Instead: keepsNone}.Markdown(r) + "\n"
	for _, p := range benchmarks.Peers {
		text += fmt.Sprintf("- %s: %s\n", p.Title, p.Is)
	}
	return text
}

// long has all figures, and says what each peer lacks.
func long(r *rounds.Results) string {
	text := rounds.Table{Figures: columns, Peers: benchmarks.Peers, Interval: true, Ratio: true, Instead: keepsNone}.Markdown(r) + "\n"
	for _, p := range benchmarks.Peers {
		text += fmt.Sprintf("- %s%s: %s.", p.Title, versions(p), p.Is)
		if p.Lacks != "" {
			text += " It lacks " + p.Lacks + "."
		}
		text += "\n"
	}
	return text + fmt.Sprintf("\nEvery event has the six headers that an engine's outbox sets, made afresh for it in %s,\nwhich the figures include.\n",
		rounds.Show(rounds.Seconds, r.Of(outbox, benchmarks.Peer{}).Median()))
}

// versions names the modules of a peer with the versions in this build.
func versions(p benchmarks.Peer) string {
	var names []string
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if slices.Contains(p.Modules, dep.Path) {
				names = append(names, path.Base(strings.TrimSuffix(dep.Path, "/v2"))+" "+dep.Version)
			}
		}
	}
	if names == nil {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}
