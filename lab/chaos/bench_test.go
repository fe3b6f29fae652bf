package chaos

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/stretchr/testify/require"
)

// BenchmarkStreamer does the same on a streamer in memory, on an embedded server
// and on a cluster of three servers in this process.
func BenchmarkStreamer(b *testing.B) {
	for _, streamer := range []struct {
		name string
		open func(*testing.B) memstreamer.EventStreamer
	}{
		{"Memory", func(*testing.B) memstreamer.EventStreamer { return memstreamer.New() }},
		{"Embedded", func(b *testing.B) memstreamer.EventStreamer { return newStreamer(b, startEmbedded(b)) }},
		{"EmbeddedExactAcks", func(b *testing.B) memstreamer.EventStreamer {
			return newStreamer(b, startEmbedded(b), jetstream.WithExactAcks())
		}},
		{"Cluster", func(b *testing.B) memstreamer.EventStreamer {
			return newStreamer(b, connect(b, startCluster(b)), jetstream.WithReplicas(3))
		}},
	} {
		b.Run(streamer.name, func(b *testing.B) {
			s := streamer.open(b)
			b.Run("Send", func(b *testing.B) { benchmarkSend(b, s) })
			b.Run("RecvAck", func(b *testing.B) { benchmarkRecvAck(b, s) })
			b.Run("HandOff", func(b *testing.B) { benchmarkHandOff(b, s) })
		})
	}
}

// BenchmarkStop stops an embedded server with 1,000 cursors.
func BenchmarkStop(b *testing.B) {
	const names = 1000
	for b.Loop() {
		b.StopTimer()
		js, stop := embed(b, b.TempDir())
		s := newStreamer(b, js)
		for n := range names {
			require.NoError(b, newReceiver(b, s, "topic", strconv.Itoa(n)).Close())
		}
		require.NoError(b, s.Close())
		b.StartTimer()
		require.NoError(b, stop())
	}
}

var benchmarkHeaders = map[memstreamer.Header]string{
	memstreamer.HeaderWorkflowName: "fulfilment",
	memstreamer.HeaderForeignID:    "order-1001",
	memstreamer.HeaderRunID:        "2b1d7e0c-5f0a-4a53-9b0e-5c3a0a9e1d57",
	memstreamer.HeaderRunState:     "2",
}

func benchmarkSend(b *testing.B, s memstreamer.EventStreamer) {
	snd := newSender(b, s, "send")
	for b.Loop() {
		if err := snd.Send(b.Context(), "order-1001", 1, benchmarkHeaders); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkRecvAck receives and acks events that are there already.
func benchmarkRecvAck(b *testing.B, s memstreamer.EventStreamer) {
	topic := b.Name()
	snd := newSender(b, s, topic)
	r := newReceiver(b, s, topic, "benchmark", memstreamer.StreamFromLatest())
	for range b.N {
		if err := snd.Send(b.Context(), "order-1001", 1, benchmarkHeaders); err != nil {
			b.Fatal(err)
		}
	}
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

// benchmarkHandOff sends an event to a receiver that waits for it, and waits
// until that has it.
func benchmarkHandOff(b *testing.B, s memstreamer.EventStreamer) {
	topic := b.Name()
	snd := newSender(b, s, topic)
	r := newReceiver(b, s, topic, "benchmark", memstreamer.StreamFromLatest())
	ctx, cancel := context.WithCancel(b.Context())
	got, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			_, ack, err := r.Recv(ctx)
			if err != nil {
				done <- err
				return
			}
			got <- struct{}{}
			if err := ack(); err != nil {
				done <- err
				return
			}
		}
	}()
	for b.Loop() {
		if err := snd.Send(b.Context(), "order-1001", 1, benchmarkHeaders); err != nil {
			b.Fatal(err)
		}
		select {
		case <-got:
		case err := <-done:
			b.Fatal(err)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		b.Fatal(err)
	}
}
