package benchmarks

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/bench"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/sqlite"
)

func TestDurablesPassEvents(t *testing.T) {
	for _, peer := range Durables {
		t.Run(peer.Name, func(t *testing.T) {
			s := bench.Start(t, peer.Open)
			late, err := bench.PassEvents(s.Ctx, s.Sender(bench.Topic), []bench.Receiver{s.Receiver(bench.Topic, "a"), s.Receiver(bench.Topic, "b")}, 50)
			require.NoError(t, err)
			require.Zero(t, late)
		})
	}
}

// BenchmarkOpen opens a streamer on a database that keeps events. recv-ns/op is what a
// Recv and its Ack of one of them take then.
func BenchmarkOpen(b *testing.B) {
	ctx := context.Background()
	for _, kept := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("kept=%d", kept), func(b *testing.B) {
			kept := bench.Scale(kept)
			db, remove, err := openDB("NORMAL")
			require.NoError(b, err)
			defer func() { require.NoError(b, remove()) }()
			open := func() *sqlite.Streamer {
				s, err := sqlite.New(ctx, db)
				require.NoError(b, err)
				return s
			}
			s := open()
			fill(b, bench.Streamer{EventStreamer: s}, kept)
			for b.Loop() {
				require.NoError(b, s.Close())
				s = open()
			}
			b.StopTimer()
			r, err := s.NewReceiver(ctx, bench.Topic, "n")
			require.NoError(b, err)
			start, received := time.Now(), min(kept, 1000)
			for range received {
				_, ack, err := r.Recv(ctx)
				require.NoError(b, err)
				require.NoError(b, ack())
			}
			b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(received), "recv-ns/op")
			require.NoError(b, s.Close())
		})
	}
}

// fill sends events, many at once, which commits them together.
func fill(b *testing.B, s bench.Broker, events int) {
	const senders = 256
	var sending sync.WaitGroup
	for i := range senders {
		sender, err := s.NewSender(bench.Topic)
		require.NoError(b, err)
		sending.Go(func() {
			for n := i; n < events; n += senders {
				if err := sender.Send(b.Context(), n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	sending.Wait()
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
