package sqlite

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

var benchmarkHeaders = map[memstreamer.Header]string{
	memstreamer.HeaderWorkflowName: "fulfilment",
	memstreamer.HeaderForeignID:    "order-1001",
	memstreamer.HeaderRunID:        "2b1d7e0c-5f0a-4a53-9b0e-5c3a0a9e1d57",
	memstreamer.HeaderRunState:     "2",
}

func send(b testing.TB, s *Streamer, topic string, n int) {
	snd := newSender(b, s, topic)
	for range n {
		if err := snd.Send(b.Context(), "order-1001", 1, benchmarkHeaders); err != nil {
			b.Fatal(err)
		}
	}
}

// sendAtOnce has that many senders send n events together.
func sendAtOnce(b testing.TB, s *Streamer, senders, n int) {
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
				s := open(b, tempDB(b))
				_, err := s.db.Exec("PRAGMA synchronous = " + synchronous)
				require.NoError(b, err)
				b.ResetTimer()
				sendAtOnce(b, s, senders, b.N)
			})
		}
	}
}

func BenchmarkRecvAck(b *testing.B) {
	s := open(b, tempDB(b))
	r := newReceiver(b, s, "send", "benchmark")
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
