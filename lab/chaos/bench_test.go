package chaos

import (
	"testing"

	"github.com/memstreamer/memstreamer/internal/bench"
	"github.com/memstreamer/memstreamer/jetstream"
)

// These are benchmarks of lab/benchmarks, on a cluster of three servers that share
// the machine.

func BenchmarkSend(b *testing.B) { benchCluster(b, bench.Send) }

func BenchmarkSendAtOnce(b *testing.B) { benchCluster(b, bench.SendAtOnce) }

func BenchmarkRecv(b *testing.B) { benchCluster(b, bench.Recv) }

func BenchmarkHandoff(b *testing.B) { benchCluster(b, bench.Handoff) }

func benchCluster(b *testing.B, job bench.Job) {
	b.Run("peer=cluster", func(b *testing.B) {
		js := connect(b, startCluster(b))
		job(b, func() (bench.Broker, error) {
			s, err := jetstream.New(b.Context(), js, jetstream.WithReplicas(3))
			return bench.Streamer{EventStreamer: s}, err
		})
	})
}
