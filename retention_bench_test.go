package memstreamer_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/bench"
)

// BenchmarkSweep times single calls of a streamer in which a million events have
// expired at once, half of them on one topic and half on 5,000 with ten closed
// names each, until all of them are gone. The same is done three times over, and
// the fastest time of each call counts: what is left is its own work, and not
// that of whatever else ran on the machine. max-ns is the worst single call.
func BenchmarkSweep(b *testing.B) { b.Run("peer=memstreamer+retention", benchSweep) }

func benchSweep(b *testing.B) {
	events, calls := bench.Scale(1_000_000), bench.Scale(20_000)
	kinds := []string{"send", "ack", "open", "close"}
	fastest := make(map[string][]time.Duration)
	for b.Loop() {
		for range 3 {
			empty := bench.LiveHeap()
			s, clock := newRetaining()
			expire(b, s, clock, events)
			sender, receiver := newSender(b, s, "busy"), newReceiver(b, s, "busy", "step")
			runtime.GC()
			for i := range calls {
				var ack memstreamer.Ack
				var opened memstreamer.EventReceiver
				for _, kind := range kinds {
					name := strconv.Itoa(i % 100)
					var err error
					start := time.Now()
					switch kind {
					case "send":
						err = sender.Send(b.Context(), "7", 1, nil)
					case "ack":
						err = ack()
					case "open":
						opened, err = s.NewReceiver(b.Context(), "busy", name)
					case "close":
						err = opened.Close()
					}
					took := time.Since(start)
					failOn(b, err)
					if kind == "send" {
						_, ack, err = receiver.Recv(b.Context())
						failOn(b, err)
					}
					if len(fastest[kind]) == i {
						fastest[kind] = append(fastest[kind], took)
					}
					fastest[kind][i] = min(fastest[kind][i], took)
				}
			}
			if left := bench.LiveHeap() - empty; left > int64(16*events) {
				b.Fatalf("%d bytes are left of %d expired events after %d calls", left, events, calls*len(kinds))
			}
			runtime.KeepAlive(s)
		}
	}
	b.ReportMetric(0, "ns/op")
	var all []time.Duration
	for _, kind := range kinds {
		b.ReportMetric(float64(slices.Max(fastest[kind])), kind+"-max-ns")
		all = append(all, fastest[kind]...)
	}
	reportLatency(b, "", all)
}

// expire leaves events and closed names behind, all of them expired.
func expire(b *testing.B, s *memstreamer.StreamConstructor, clock *steppedClock, events int) {
	leave := func(topic string, events int) {
		sender := newSender(b, s, topic)
		for range events {
			failOn(b, sender.Send(b.Context(), "7", 1, nil))
		}
		failOn(b, sender.Close())
		for i := range 10 {
			failOn(b, newReceiver(b, s, topic, strconv.Itoa(i)).Close())
		}
	}
	leave("large", events/2)
	const each = 100
	for i := range events / 2 / each {
		leave(fmt.Sprint("small ", i), each)
	}
	clock.Step(3 * time.Hour)
}

// keepThree has each topic keep the last three of 600 events, and every other topic
// begin with a burst.
func keepThree(tb testing.TB, s *memstreamer.StreamConstructor, clock *steppedClock, topics, burst int) {
	headers := map[memstreamer.Header]string{
		memstreamer.HeaderWorkflowName: "orders", memstreamer.HeaderForeignID: "order-7",
		memstreamer.HeaderRunID: "0198c6a1-7f0e-7d1a-a5b4-7a0c9d3f1e52", memstreamer.HeaderRecordVersion: "3",
	}
	senders := make([]memstreamer.EventSender, topics)
	send := func(i int) { failOn(tb, senders[i].Send(tb.Context(), "order-7", 1, headers)) }
	for i := range senders {
		senders[i] = newSender(tb, s, fmt.Sprint("orders-", i))
		if i%2 == 0 {
			for range burst {
				send(i)
			}
		}
	}
	for range 600 {
		clock.Step(25 * time.Minute)
		for i := range senders {
			send(i)
		}
	}
	s.Stats()
	for i := range senders {
		failOn(tb, senders[i].Close())
	}
}

// BenchmarkStats takes snapshots while another goroutine sends as fast as it
// can. held-up is the slowest Send during each snapshot; send is any, without
// snapshots.
func BenchmarkStats(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(receivers(n), func(b *testing.B) {
			// What is sent is dropped soon, so that only the receivers count.
			s := memstreamer.New(memstreamer.WithRetention(time.Millisecond))
			for i := range n {
				newReceiver(b, s, fmt.Sprint("topic ", i%100), strconv.Itoa(i))
			}
			sender := newSender(b, s, "busy")
			timedSend := func() time.Duration {
				start := time.Now()
				if err := sender.Send(b.Context(), "7", 1, nil); err != nil {
					b.Error(err)
				}
				return time.Since(start)
			}
			alone := make([]time.Duration, 100_000)
			for i := range alone {
				alone[i] = timedSend()
			}

			ctx, cancel := context.WithCancel(b.Context())
			var sending sync.WaitGroup
			var sends, slowest atomic.Int64
			sending.Go(func() {
				for ctx.Err() == nil {
					slowest.Store(max(slowest.Load(), int64(timedSend())))
					sends.Add(1)
				}
			})
			var heldUp []time.Duration
			for b.Loop() {
				slowest.Store(0)
				if got := len(s.Stats().Receivers); got != n {
					b.Fatalf("%d receivers", got)
				}
				// The Send that was running has to return, to count.
				for sent := sends.Load(); sends.Load() == sent && !b.Failed(); {
					runtime.Gosched()
				}
				heldUp = append(heldUp, time.Duration(slowest.Load()))
			}
			cancel()
			sending.Wait()
			reportLatency(b, "send-", alone)
			reportLatency(b, "held-up-", heldUp)
		})
	}
}

// reportLatency reports percentiles of what calls took.
func reportLatency(b *testing.B, prefix string, took []time.Duration) {
	slices.Sort(took)
	at := func(p float64) float64 { return float64(took[int(p*float64(len(took)-1))]) }
	b.ReportMetric(at(0.5), prefix+"p50-ns")
	b.ReportMetric(at(0.99), prefix+"p99-ns")
	b.ReportMetric(at(1), prefix+"max-ns")
}
