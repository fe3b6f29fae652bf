package benchmarks

import (
	"fmt"
	"slices"
	"testing"

	"github.com/memstreamer/memstreamer/internal/bench"
)

func eachPeerBench(b *testing.B, job func(Peer) bench.Job) { benchPeers(b, Peers, job) }

// all are the peers and those on a disk.
var all = slices.Concat(Peers, Durables)

func benchPeers(b *testing.B, peers []Peer, job func(Peer) bench.Job) {
	for _, peer := range peers {
		b.Run("peer="+peer.Name, func(b *testing.B) { job(peer)(b, peer.Open) })
	}
}

// benchSome does a job with memstreamer, with the adapter that its targets are set
// by, and with others.
func benchSome(b *testing.B, job bench.Job, others ...Peer) {
	benchPeers(b, slices.Concat(Peers[:2], others), func(Peer) bench.Job { return job })
}

func BenchmarkSend(b *testing.B) { benchSome(b, bench.Send, Durables...) }

func BenchmarkSendAtOnce(b *testing.B) { benchSome(b, bench.SendAtOnce, Durables...) }

func BenchmarkRecv(b *testing.B) { benchSome(b, bench.Recv, Durables...) }

func BenchmarkCollection(b *testing.B) { benchSome(b, bench.Collection) }

func BenchmarkHandoff(b *testing.B) {
	benchPeers(b, all, func(Peer) bench.Job { return bench.Handoff })
}

func BenchmarkHandoffBesideBusy(b *testing.B) {
	eachPeerBench(b, func(Peer) bench.Job { return bench.HandoffBesideBusy })
}

func BenchmarkPass(b *testing.B) {
	for _, receivers := range []int{1, 8} {
		b.Run(fmt.Sprintf("receivers=%d", receivers), func(b *testing.B) {
			eachPeerBench(b, func(peer Peer) bench.Job { return bench.Pass(receivers, !peer.Unordered) })
		})
	}
}

func BenchmarkIdle(b *testing.B) {
	benchPeers(b, all, func(Peer) bench.Job { return bench.Idle(64) })
}

func BenchmarkRetained(b *testing.B) {
	eachPeerBench(b, func(peer Peer) bench.Job {
		if peer.Forgets {
			return func(b *testing.B, _ bench.Open) { b.Skip("keeps nothing") }
		}
		return bench.Retained
	})
}
