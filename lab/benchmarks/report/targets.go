package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

// The packages whose benchmarks are run.
const (
	library = "github.com/memstreamer/memstreamer"
	peers   = library + "/lab/benchmarks"
)

// target is a goal of the project for one figure of memstreamer.
type target struct {
	what string
	job  string // a benchmark of the library and of the peers or, without a time, of the peers alone
	time string // of -test.benchtime: a count where CPU is measured, whose collections depend on it
	to   string // the peer that the bar is a ratio to; without one it is absolute
	unit string
	bar  float64 // for events a second the least, for all else the most
	why  string  // what a profile says where the bar is missed
}

// By the profiles of the benchmarks, -cpuprofile.
const (
	isolation = "a quarter of the profile is isolation, which the adapter lacks: a header map and a copy of the payload for each event; a tenth is setting and ending the watcher of the context"
	copies    = "half of the profile is making the event's header map and the copy of its payload; the adapter hands out the sender's map"
	making    = "most of the processor time is Recv, which makes an event for each receiver, where those of polling share the sender's map"
	waking    = "of the profile, three tenths is the runtime parking and waking goroutines, a quarter isolation, and a sixth the benchmark's own outbox"
	garbage   = "memstreamer leaves almost twice the garbage, since each receiver gets a header map of its own, where polling shares the sender's"
)

var targets = []target{
	{"hand-off beside two busy goroutines a processor", "HandoffBesideBusy", "1s", "workflow", rounds.Seconds, 1, ""},
	{"hand-off, processors idle", "Handoff", "500ms", "workflow", rounds.Seconds, 1, isolation},
	{"CPU of Send", "Send", "500000x", "workflow", rounds.CPU, 0.85, ""},
	{"CPU of Recv and Ack", "Recv", "1000000x", "workflow", rounds.CPU, 0.5, copies},
	{"CPU of a garbage collection beside 2,000,000 events", "Collection", "5x", "workflow", rounds.CPU, 0.03, ""},
	{"live heap an event", "Retained", "1x", "workflow", rounds.BytesEach, 0.38, ""},
	{"events a second, 1 → 1", "Pass/receivers=1", "3x", "polling", rounds.EventRate, 1, garbage},
	{"events a second, 1 → 8", "Pass/receivers=8", "3x", "polling", rounds.EventRate, 1, making},
	{"hand-off", "Handoff", "", "watermill", rounds.Seconds, 0.4, waking},
	{"hand-off", "Handoff", "", "jetstream", rounds.Seconds, 0.06, waking},
	{"cores of 10,000 parked receivers", "Idle/receivers=10000", "4x", "", rounds.Cores, 0.001, ""},
	{"worst single call, 1,000,000 events expired", sweep, "1x", "", rounds.Worst, 31e-6, ""},
}

const sweep = "Sweep"

// benchmarks are those of memstreamer, of memstreamer with a retention, and of
// what the ratio is to. One that there is not is empty.
func (t target) benchmarks() [3]string {
	if t.job == sweep { // only what is retained for a time expires
		return [3]string{1: t.job}
	}
	if t.time == "" {
		return [3]string{t.job + "/peer=memstreamer", "", t.job + "/peer=" + t.to}
	}
	names := [3]string{t.job + "/streamer=memstreamer", t.job + "/streamer=memstreamer+retention"}
	switch t.to {
	case "":
	case "polling":
		names[2] = t.job + "/streamer=polling"
	default:
		names[2] = t.job + "/peer=" + t.to
	}
	return names
}

func (t target) met(v float64) bool {
	if t.unit == rounds.EventRate {
		return v >= t.bar
	}
	return v <= t.bar
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
	of := func(name, time string) {
		pkg := library
		if strings.Contains(name, "/peer=") {
			pkg = peers
		}
		b := rounds.Benchmark{Package: pkg, Name: name, Time: time}
		if !slices.Contains(all, b) { // of a target's peer, which is in a column too
			all = append(all, b)
		}
	}
	for _, t := range targets {
		if t.time == "" {
			continue // it is one of the columns, below
		}
		for _, name := range t.benchmarks() {
			if name != "" {
				of(name, t.time)
			}
		}
	}
	of("Outbox", "500ms")
	for _, n := range parked {
		of(idle(n, "memstreamer"), "1x")
	}
	for _, n := range spinning {
		of(idle(n, "polling"), "1x")
	}
	for _, c := range columns {
		for _, peer := range benchmarks.Peers {
			if c.does(peer) {
				of(c.of(peer), c.time)
			}
		}
	}
	return all
}
