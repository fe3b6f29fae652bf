package benchmarks

import (
	"fmt"
	"testing"

	"github.com/memstreamer/memstreamer/internal/bench"
)

func eachPeerBench(b *testing.B, job func(Peer) bench.Job) { benchPeers(b, Peers, job) }

func benchPeers(b *testing.B, peers []Peer, job func(Peer) bench.Job) {
	for _, peer := range peers {
		b.Run("peer="+peer.Name, func(b *testing.B) { job(peer)(b, peer.Open) })
	}
}

// benchAdapters does a job with memstreamer and with the adapter that its targets
// are set by.
func benchAdapters(b *testing.B, job bench.Job) {
	benchPeers(b, Peers[:2], func(Peer) bench.Job { return job })
}

func BenchmarkSend(b *testing.B) { benchAdapters(b, bench.Send) }

func BenchmarkRecv(b *testing.B) { benchAdapters(b, bench.Recv) }

func BenchmarkCollection(b *testing.B) { benchAdapters(b, bench.Collection) }

func BenchmarkHandoff(b *testing.B) {
	eachPeerBench(b, func(Peer) bench.Job { return bench.Handoff })
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
	eachPeerBench(b, func(Peer) bench.Job { return bench.Idle(64) })
}

func BenchmarkRetained(b *testing.B) {
	eachPeerBench(b, func(peer Peer) bench.Job {
		if peer.Forgets {
			return func(b *testing.B, _ bench.Open) { b.Skip("keeps nothing") }
		}
		return bench.Retained
	})
}
