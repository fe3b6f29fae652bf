package main

import (
	"fmt"

	"github.com/memstreamer/memstreamer/benchmarks"
	"github.com/memstreamer/memstreamer/benchmarks/internal/rounds"
)

// The packages whose benchmarks are run.
const (
	library = "github.com/memstreamer/memstreamer"
	peers   = library + "/benchmarks"
)

// target is a goal of the project for one figure of memstreamer.
type target struct {
	what, to string
	// The benchmarks of memstreamer, of memstreamer with a retention, if there
	// is one, and of what the ratio is to. Without the last the bar is absolute.
	of, retaining, over string
	// Of -test.benchtime: a count where CPU is measured, whose collections depend on
	// it. Benchmarks without it are those of the table of peers.
	time    string
	unit    string
	bar     float64
	atLeast bool   // the bar is a lower one
	why     string // what a profile says where the bar is missed
}

func (t target) met(v float64) bool {
	if t.atLeast {
		return v >= t.bar
	}
	return v <= t.bar
}

func targets() []target {
	// beside adds the benchmarks of the library's job to t.
	beside := func(job, other string, t target) target {
		t.of, t.retaining, t.over = job+"/streamer=memstreamer", job+"/streamer=memstreamer+retention", job+"/streamer="+other
		return t
	}
	parking := func(job string, t target) target {
		t.to = "plain parking"
		return beside(job, "parking", t)
	}
	polling := func(job string, t target) target {
		t.to, t.unit, t.time, t.bar, t.atLeast = "polling", rounds.EventRate, "3x", 1, true
		return beside(job, "polling", t)
	}
	// By the profiles of the benchmarks, -cpuprofile.
	const (
		isolation = "a quarter of the profile is isolation, which plain parking lacks: a header map and a copy of the payload for each event; a tenth is setting and ending the watcher of the context"
		copies    = "half of the profile is making the event's header map and the copy of its payload; plain parking hands out the sender's map"
		waking    = "of the profile, three tenths is the runtime parking and waking goroutines, a quarter isolation, and a sixth the benchmark's own outbox"
		garbage   = "memstreamer leaves almost twice the garbage, since each receiver gets a header map of its own, where polling shares the sender's"
	)
	handoff := func(to, peer string, bar float64) target {
		return target{what: "hand-off", why: waking, to: to, of: "Handoff/peer=memstreamer", over: "Handoff/peer=" + peer, unit: rounds.Seconds, bar: bar}
	}
	return []target{
		parking("HandoffBesideBusy", target{what: "hand-off beside two busy goroutines a processor", unit: rounds.Seconds, time: "1s", bar: 1}),
		parking("Handoff", target{what: "hand-off, processors idle", why: isolation, unit: rounds.Seconds, time: "500ms", bar: 1}),
		parking("Send", target{what: "CPU of Send", unit: rounds.CPU, time: "500000x", bar: 0.85}),
		parking("Recv", target{what: "CPU of Recv and Ack", why: copies, unit: rounds.CPU, time: "1000000x", bar: 0.5}),
		parking("Collection", target{what: "CPU of a garbage collection beside 2,000,000 events", unit: rounds.CPU, time: "5x", bar: 0.03}),
		parking("Retained", target{what: "live heap an event", unit: rounds.BytesEach, time: "1x", bar: 0.38}),
		polling("Pass/receivers=1", target{what: "events a second, 1 → 1", why: garbage}),
		polling("Pass/receivers=8", target{
			what: "events a second, 1 → 8",
			why:  "most of the processor time is Recv, which makes an event for each receiver, where those of polling share the sender's map",
		}),
		handoff("Watermill GoChannel", "watermill", 0.4),
		handoff("JetStream in process", "jetstream", 0.06),
		{
			what: "cores of 10,000 parked receivers", unit: rounds.Cores, time: "4x", bar: 0.001,
			of: idle(10_000, "memstreamer"), retaining: idle(10_000, "memstreamer+retention"),
		},
		{what: "worst single call, 1,000,000 events expired", retaining: "Sweep", unit: rounds.Worst, time: "1x", bar: 31e-6},
	}
}

// The receivers of the picture of idle cores. The most parked ones are those of
// a target.
var (
	parked   = []int{1, 8, 100}
	spinning = []int{1, 2, 8, 100}
)

func idle(receivers int, streamer string) string {
	return fmt.Sprintf("Idle/receivers=%d/streamer=%s", receivers, streamer)
}

// plan is what a round runs, the benchmarks that are compared one after the
// other.
func plan() (all []rounds.Benchmark) {
	of := func(pkg, name, time string) {
		all = append(all, rounds.Benchmark{Package: pkg, Name: name, Time: time})
	}
	for _, t := range targets() {
		for _, name := range []string{t.of, t.retaining, t.over} {
			if name != "" && t.time != "" {
				of(library, name, t.time)
			}
		}
	}
	of(library, "Outbox", "500ms")
	for _, n := range parked {
		of(library, idle(n, "memstreamer"), "1x")
	}
	for _, n := range spinning {
		of(library, idle(n, "polling"), "1x")
	}
	for _, c := range columns {
		for _, peer := range benchmarks.Peers {
			if c.does(peer) {
				of(peers, c.of(peer), c.time)
			}
		}
	}
	return all
}
