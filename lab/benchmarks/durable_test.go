package benchmarks

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/bench"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/sqlite"
)

// BenchmarkOpen opens a streamer on a database that keeps events. recv-ns/op is what a
// Recv and its Ack of one of them take then.
func BenchmarkOpen(b *testing.B) {
	for _, kept := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("kept=%d", kept), func(b *testing.B) {
			kept := bench.Scale(kept)
			db, remove, err := openDB("NORMAL")
			require.NoError(b, err)
			defer func() { require.NoError(b, remove()) }()
			open := func() (bench.Broker, error) {
				s, err := sqlite.New(b.Context(), db)
				return bench.Streamer{EventStreamer: s}, err
			}
			s := bench.Start(b, open)
			bench.SendBy(s, 256, kept) // at once, which commits them together
			b.ResetTimer()
			for b.Loop() {
				s.End()
				s = bench.Start(b, open)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*kept), "open-ns/event")
			r := s.Receiver(bench.Topic, "n")
			start, received := time.Now(), min(kept, 1000)
			for range received {
				require.NoError(b, bench.Take(s.Ctx, r))
			}
			b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(received), "recv-ns/op")
			s.End()
		})
	}
}

// BenchmarkStop stops an embedded server with 1,000 cursors.
func BenchmarkStop(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		conn, stop, err := startServer()
		require.NoError(b, err)
		js, err := natsjs.New(conn)
		require.NoError(b, err)
		s, err := jetstream.New(b.Context(), js)
		require.NoError(b, err)
		for n := range bench.Scale(1000) {
			r, err := s.NewReceiver(b.Context(), bench.Topic, strconv.Itoa(n), memstreamer.StreamFromLatest())
			require.NoError(b, err)
			require.NoError(b, r.Close())
		}
		require.NoError(b, s.Close())
		b.StartTimer()
		require.NoError(b, stop())
	}
}
