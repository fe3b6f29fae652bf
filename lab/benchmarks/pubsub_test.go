package benchmarks

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/internal/bench"
)

func BenchmarkPubSubHandoff(b *testing.B) { run(b, bench.Handoff, PubSubs) }
func BenchmarkPubSubPass(b *testing.B)    { run(b, bench.Pass(1), PubSubs) }

// BenchmarkPubSubStuck publishes to a subscriber that takes one message and never
// acks it, until the publisher has waited for a second. The figures to read are
// how many messages were published, the goroutines that came with the subscriber,
// and the memory that each message takes.
func BenchmarkPubSubStuck(b *testing.B) {
	run(b, func(b *testing.B, open bench.Open) {
		s := bench.Start(b, open)
		bench.Settle()
		goroutines, bytes := runtime.NumGoroutine(), memory()
		sender, receiver := s.Sender(bench.Topic), s.Receiver(bench.Topic, "n")
		sent := make(chan struct{}, b.N)
		var sending sync.WaitGroup
		defer sending.Wait()
		defer s.End()
		sending.Go(func() {
			for n := range b.N {
				if err := sender.Send(s.Ctx, n); err != nil {
					if !s.Ended() {
						b.Error(err)
					}
					return
				}
				sent <- struct{}{}
			}
		})
		_, _, err := receiver(s.Ctx)
		require.NoError(b, err)
		published := 0
		for waits := false; published < b.N && !waits; {
			select {
			case <-sent:
				published++
			case <-time.After(time.Second):
				waits = true
			}
		}
		if published == b.N {
			sending.Wait() // or its goroutine would count
		}
		b.ReportMetric(float64(published), "published")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
		b.ReportMetric(float64(memory()-bytes)/float64(max(published, 1)), "B/event")
	}, PubSubs)
}

// memory returns the bytes of the heap and of stacks that are in use.
func memory() int {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc + stats.StackInuse)
}
