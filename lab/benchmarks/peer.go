// Package benchmarks has memstreamer do the same jobs as what one might use in
// its place, each at its defaults for use within one process. The commands below it
// import it, and write its figures into RESULTS.md and the READMEs.
package benchmarks

import (
	"time"

	"github.com/memstreamer/memstreamer/internal/bench"
)

// Peer is one way to pass events from a sender to receivers, or whatever else
// benchmarks are run with.
type Peer struct {
	Name  string // in the names of benchmarks
	Title string
	// Is says what it is, and Lacks which of memstreamer's promises it does not
	// make.
	Is, Lacks string
	// Modules are what it is made of, beyond this repository.
	Modules []string
	// Unordered says that a receiver may get events out of the order of their
	// Send.
	Unordered bool
	// Forgets says that an event is gone for a receiver that comes later.
	Forgets bool

	Open bench.Open
}

// Peers are all of them, memstreamer first.
var Peers = []Peer{
	{
		Name:  "memstreamer",
		Title: "memstreamer",
		Is:    "one log, indexed by topic, and a cond for each topic",
		Open:  bench.Memstreamer,
	},
	{
		Name:  "workflow",
		Title: "luno/workflow v0.5.0",
		Is:    "the engine's own in-memory adapter: one cond for all topics, a goroutine a Recv, the sender's map shared",
		Lacks: "isolation, cursors by topic, retention, Close",
		Open:  newWorkflow,
	},
	{
		Name:  "polling",
		Title: "polling",
		Is:    "what that adapter was up to v0.4.0: receivers ask the log again and again; idle ones use every processor",
		Lacks: "isolation",
		Open:  bench.Polling,
	},
	{
		Name:    "channels",
		Title:   "Go channels",
		Is:      "a buffered channel for each receiver, and nothing kept: the floor",
		Lacks:   "a log, replay, acks, redelivery, cursors, isolation; a slow receiver holds up the sender",
		Forgets: true,
		Open:    newChannels,
	},
	{
		Name:      "watermill",
		Title:     "Watermill GoChannel",
		Is:        "Watermill's Pub/Sub within a process, which keeps nothing",
		Modules:   []string{watermillModule},
		Lacks:     "a log, replay, cursors, order, backpressure; what is sent while nobody receives is dropped",
		Unordered: true,
		Forgets:   true,
		Open:      newWatermill,
	},
	{
		Name:    "jetstream",
		Title:   "JetStream in process",
		Is:      "a NATS server within the process, its stream in memory",
		Modules: []string{natsModule, natsClientModule},
		Lacks:   "acks that are confirmed; an un-acked event comes again after 30 s, behind later ones",
		Open:    newJetStream,
	},
}

// Dropping is memstreamer with a retention so short that events are dropped while the
// benchmark runs, and Keeping with one so long that none are.
var (
	Dropping = Peer{Name: "memstreamer+retention", Title: "with retention", Open: bench.Retaining(10 * time.Millisecond)}
	Keeping  = Peer{Name: "memstreamer+retention", Title: "with retention", Open: bench.Retaining(time.Hour)}
)
