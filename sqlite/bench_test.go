package sqlite_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/sqlite"
)

var benchmarkHeaders = map[memstreamer.Header]string{
	memstreamer.HeaderWorkflowName: "fulfilment",
	memstreamer.HeaderForeignID:    "order-1001",
	memstreamer.HeaderRunID:        "2b1d7e0c-5f0a-4a53-9b0e-5c3a0a9e1d57",
	memstreamer.HeaderRunState:     "2",
}

func send(b testing.TB, s memstreamer.EventStreamer, topic string, n int) {
	snd, err := s.NewSender(b.Context(), topic)
	require.NoError(b, err)
	for range n {
		if err := snd.Send(b.Context(), "order-1001", 1, benchmarkHeaders); err != nil {
			b.Fatal(err)
		}
	}
}

// sendAtOnce has that many senders send n events together.
func sendAtOnce(b testing.TB, s memstreamer.EventStreamer, senders, n int) {
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() { send(b, s, "send", (n+i)/senders) })
	}
	sending.Wait()
}

// BenchmarkSend has one sender, and eight, send to a database that syncs each
// transaction and to one that does not.
func BenchmarkSend(b *testing.B) {
	for _, synchronous := range []string{"NORMAL", "FULL"} {
		for _, senders := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/senders=%d", synchronous, senders), func(b *testing.B) {
				s := open(b, openFile(b, tempFile(b), 1, "synchronous("+synchronous+")"))
				b.ResetTimer()
				sendAtOnce(b, s, senders, b.N)
			})
		}
	}
}

func BenchmarkRecvAck(b *testing.B) {
	s := open(b, openFile(b, tempFile(b), 1))
	r, err := s.NewReceiver(b.Context(), "send", "benchmark")
	require.NoError(b, err)
	sendAtOnce(b, s, 64, b.N)
	b.ResetTimer()
	for range b.N {
		_, ack, err := r.Recv(b.Context())
		if err == nil {
			err = ack()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNew opens a streamer on a database with so many events, and reports
// the time that each takes.
func BenchmarkNew(b *testing.B) {
	for _, events := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			if testing.Short() && events > 10_000 {
				b.Skip("it takes long to fill")
			}
			db := openFile(b, tempFile(b), 1)
			s, err := sqlite.New(b.Context(), db)
			require.NoError(b, err)
			sendAtOnce(b, s, 256, events)
			require.NoError(b, s.Close())
			b.ResetTimer()
			var took time.Duration
			for range b.N {
				start := time.Now()
				s, err := sqlite.New(b.Context(), db)
				took += time.Since(start)
				require.NoError(b, err)
				require.NoError(b, s.Close())
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/float64(events), "ns/event")
		})
	}
}
