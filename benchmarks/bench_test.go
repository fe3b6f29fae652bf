package benchmarks

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/internal/cputime"
)

// The events of a throughput run, and those that are kept.
const benchEvents = 100_000

func eachPeerBench(b *testing.B, run func(b *testing.B, peer Peer)) {
	for _, peer := range Peers {
		b.Run(peer.Name, func(b *testing.B) { run(b, peer) })
	}
}

// BenchmarkHandoff passes an event there and back: Send on one topic, a waiting
// receiver takes, acks and sends on a second topic, a waiting receiver takes
// and acks.
func BenchmarkHandoff(b *testing.B) {
	eachPeerBench(b, func(b *testing.B, peer Peer) {
		ctx, broker := openFor(b, peer)
		there, back := newSender(b, broker, "there"), newSender(b, broker, "back")
		onThere, onBack := newReceiver(b, ctx, broker, "there", "n"), newReceiver(b, ctx, broker, "back", "n")

		echoCtx, stop := context.WithCancel(ctx)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var echo sync.WaitGroup
		echo.Go(func() {
			defer cancel() // ends the loop below if this one fails
			for n := 0; ; n++ {
				err := take(echoCtx, onThere)
				if err == nil {
					err = back.Send(echoCtx, n)
				}
				if echoCtx.Err() != nil {
					return
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
		defer echo.Wait()
		defer stop()

		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if err := there.Send(ctx, n); err != nil {
				b.Fatal(err)
			}
			if err := take(ctx, onBack); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPass is the throughput of one sender: an operation passes 100,000
// events to each receiver, which acks them all. An event that reaches eight
// receivers counts once in events/s.
func BenchmarkPass(b *testing.B) {
	for _, receivers := range []int{1, 8} {
		b.Run(fmt.Sprintf("1to%d", receivers), func(b *testing.B) {
			eachPeerBench(b, func(b *testing.B, peer Peer) {
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					ctx, broker, end := open(b, peer)
					sender, all := newSender(b, broker, topic), newReceivers(b, ctx, broker, topic, receivers)
					runtime.GC()
					b.StartTimer()
					if err := pass(ctx, sender, all, benchEvents, peer.Ordered); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					end()
					b.StartTimer()
				}
				b.ReportMetric(float64(benchEvents*b.N)/b.Elapsed().Seconds(), "events/s")
			})
		})
	}
}

// BenchmarkIdle waits: an operation is a second in which 64 receivers, each on
// a topic of its own, wait for an event. The figure to read is cores, the
// processor time of the process over that second.
func BenchmarkIdle(b *testing.B) {
	const (
		receivers = 64
		window    = time.Second
	)
	eachPeerBench(b, func(b *testing.B, peer Peer) {
		ctx, broker := openFor(b, peer)
		ctx, cancel := context.WithCancel(ctx)
		var started, done sync.WaitGroup
		for i := range receivers {
			r := newReceiver(b, ctx, broker, fmt.Sprintf("idle-%d", i), "n")
			started.Add(1)
			done.Go(func() {
				started.Done()
				if _, _, err := r.Recv(ctx); ctx.Err() == nil {
					b.Errorf("an idle receiver returned: %v", err)
				}
			})
		}
		defer done.Wait()
		defer cancel()
		started.Wait()
		runtime.GC()
		// What a broker does on its own after a receiver has come is not idling.
		time.Sleep(window / 4)

		b.ReportAllocs()
		used := cputime.Process()
		for b.Loop() {
			time.Sleep(window)
		}
		b.ReportMetric(float64(cputime.Process()-used)/float64(b.Elapsed()), "cores")
	})
}

// BenchmarkRetained keeps 100,000 events that nobody reads. The figure to read
// is B/event, the live heap that they take beyond that of the empty broker.
func BenchmarkRetained(b *testing.B) {
	liveHeap := func() float64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return float64(stats.HeapAlloc)
	}
	eachPeerBench(b, func(b *testing.B, peer Peer) {
		if !peer.Keeps {
			b.Skip("keeps nothing")
		}
		var retained float64
		b.ReportAllocs()
		for b.Loop() {
			ctx, broker, end := open(b, peer)
			sender := newSender(b, broker, topic)
			empty := liveHeap()
			if err := sendAll(ctx, sender, benchEvents); err != nil {
				b.Fatal(err)
			}
			retained = liveHeap() - empty
			end()
		}
		b.ReportMetric(retained/benchEvents, "B/event")
	})
}
