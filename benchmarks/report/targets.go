package main

import "github.com/memstreamer/memstreamer/benchmarks"

// target is a goal of the project for one figure of memstreamer.
type target struct {
	what, to string
	suite    suite
	// The benchmarks of memstreamer, of memstreamer with a retention, if there
	// is one, and of what the ratio is to. Without the last the bar is absolute.
	of, retaining, over string
	time                string // of -test.benchtime
	unit                string
	bar                 float64
	atLeast             bool // the bar is a lower one
}

func (t target) met(v float64) bool {
	if t.atLeast {
		return v >= t.bar
	}
	return v <= t.bar
}

func targets() []target {
	// beside is one of the benchmarks of the library.
	beside := func(job, other string, t target) target {
		t.suite = library
		t.of, t.retaining, t.over = job+"/streamer=memstreamer", job+"/streamer=memstreamer+retention", job+"/streamer="+other
		return t
	}
	const parking, polling = "plain parking", "polling"
	return []target{
		beside("HandoffBesideBusy", "parking", target{
			what: "hand-off beside two busy goroutines a processor", to: parking, unit: seconds, bar: 1, time: "1s",
		}),
		beside("Handoff", "parking", target{
			what: "hand-off, processors idle", to: parking, unit: seconds, bar: 1, time: "500ms",
		}),
		beside("Send", "parking", target{
			what: "CPU of Send", to: parking, unit: cpu, bar: 0.85, time: "500ms",
		}),
		beside("Recv", "parking", target{
			what: "CPU of Recv and Ack", to: parking, unit: cpu, bar: 0.5, time: "500ms",
		}),
		beside("Collection", "parking", target{
			what: "CPU of a garbage collection beside 2,000,000 events", to: parking, unit: cpu, bar: 0.03, time: "5x",
		}),
		beside("Retained", "parking", target{
			what: "live heap an event", to: parking, unit: bytesEach, bar: 0.38, time: "1x",
		}),
		beside("Pass/receivers=1", "polling", target{
			what: "events a second, 1 → 1", to: polling, unit: eventRate, bar: 1, atLeast: true, time: "3x",
		}),
		beside("Pass/receivers=8", "polling", target{
			what: "events a second, 1 → 8", to: polling, unit: eventRate, bar: 1, atLeast: true, time: "3x",
		}),
		{
			what: "hand-off", to: "Watermill GoChannel", suite: peers, unit: seconds, bar: 0.4,
			of: "Handoff/peer=memstreamer", over: "Handoff/peer=watermill",
		},
		{
			what: "hand-off", to: "JetStream in process", suite: peers, unit: seconds, bar: 0.06,
			of: "Handoff/peer=memstreamer", over: "Handoff/peer=jetstream",
		},
		{
			what: "cores of 10,000 parked receivers", suite: library, unit: cores, bar: 0.001, time: "4x",
			of: idleBench(10_000, "memstreamer"), retaining: idleBench(10_000, "memstreamer+retention"),
		},
		{
			what: "worst single call, 1,000,000 events expired", suite: library, unit: worst, bar: 31e-6, time: "1x",
			retaining: "Sweep",
		},
	}
}

// The receivers of the picture of idle cores. The most parked ones are those of
// a target.
var (
	parked   = []int{1, 8, 100}
	spinning = []int{1, 2, 8, 100}
)

// plan is what a round runs, the benchmarks that are compared one after the
// other.
func plan() []benchmark {
	var all []benchmark
	for _, t := range targets() {
		if t.suite == peers {
			continue // run below
		}
		for _, name := range []string{t.of, t.retaining, t.over} {
			if name != "" {
				all = append(all, benchmark{library, name, t.time})
			}
		}
	}
	all = append(all, benchmark{library, idleBench(0, "memstreamer"), "4x"}, benchmark{library, "Outbox", "500ms"})
	for _, n := range parked {
		all = append(all, benchmark{library, idleBench(n, "memstreamer"), "1x"})
	}
	for _, n := range spinning {
		all = append(all, benchmark{library, idleBench(n, "polling"), "1x"})
	}
	for _, c := range columns {
		for _, peer := range benchmarks.Peers {
			if c.has(peer) {
				all = append(all, benchmark{peers, c.job + "/peer=" + peer.Name, c.time})
			}
		}
	}
	return all
}
