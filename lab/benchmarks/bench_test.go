package benchmarks

import (
	"fmt"
	"slices"
	"testing"

	"github.com/memstreamer/memstreamer/internal/bench"
)

func run(b *testing.B, job bench.Job, peers ...[]Peer) {
	for _, peer := range slices.Concat(peers...) {
		b.Run("peer="+peer.Name, func(b *testing.B) { job(b, peer.Open) })
	}
}

// Memstreamer and the adapter that its goals are set by, with a retention.
var (
	dropping = append(Peers[:2:2], Dropping)
	keeping  = append(Peers[:2:2], Keeping)
)

func BenchmarkSend(b *testing.B)       { run(b, bench.Send, dropping, Durables) }
func BenchmarkSendAtOnce(b *testing.B) { run(b, bench.SendAtOnce, Peers[:2], Durables) }
func BenchmarkRecv(b *testing.B)       { run(b, bench.Recv, keeping, Durables) }
func BenchmarkCollection(b *testing.B) { run(b, bench.Collection, keeping) }
func BenchmarkHandoff(b *testing.B)    { run(b, bench.Handoff, Peers, []Peer{Dropping}, Durables) }

func BenchmarkHandoffBesideBusy(b *testing.B) {
	run(b, bench.HandoffBesideBusy, Peers, []Peer{Dropping})
}

func BenchmarkRetained(b *testing.B) {
	forgets := func(p Peer) bool { return p.Forgets }
	run(b, bench.Retained, slices.DeleteFunc(slices.Clone(Peers), forgets), []Peer{Keeping})
}

func BenchmarkPass(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("receivers=%d", n), func(b *testing.B) { run(b, bench.Pass(n), Peers, []Peer{Dropping}) })
	}
}

func BenchmarkIdle(b *testing.B) {
	idle := func(receivers int, peers ...[]Peer) {
		b.Run(fmt.Sprintf("receivers=%d", receivers), func(b *testing.B) { run(b, bench.Idle(receivers), peers...) })
	}
	for _, n := range []int{1, 2, 8, 100} {
		idle(n, Peers[:3])
	}
	idle(64, Peers, Durables[:1])
	idle(10_000, Peers[:1], []Peer{Dropping})
}
