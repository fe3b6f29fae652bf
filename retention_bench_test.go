package memstreamer_test

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

var heapEvents = flag.Int("heap-events", 300_000, "how many events TestTheHeapIsFlat sends")

// A daemon sends to 50 topics, one of which nobody reads, has acking receivers
// on the others, and opens a name that was never used for every hundredth event.
// Once the first retention period is over, the heap has to stay as it is. The
// long form of the test:
//
//	go test -v -run TestTheHeapIsFlat -heap-events 10000000 .
func TestTheHeapIsFlat(t *testing.T) {
	const topics, periods = 50, 20
	perPeriod := *heapEvents / periods
	s, clock := newRetaining()
	senders := make([]memstreamer.EventSender, topics)
	receivers := make([]memstreamer.EventReceiver, topics)
	for i := range topics {
		senders[i] = newSender(t, s, strconv.Itoa(i))
		if i > 0 {
			receivers[i] = newReceiver(t, s, strconv.Itoa(i), "step")
		}
	}
	headers := map[memstreamer.Header]string{
		memstreamer.HeaderWorkflowName: "orders", memstreamer.HeaderRunID: "0198c6a1-7f0e-7d1a-a5b4-7a0c9d3f1e52",
	}
	before := heapInUse()
	var settled int64
	for period := range periods {
		for i := range perPeriod {
			topic := i % topics
			if err := senders[topic].Send(t.Context(), "7", 1, headers); err != nil {
				t.Fatal(err)
			}
			if receivers[topic] != nil {
				ackNext(t, receivers[topic])
			}
			if i%100 == 0 {
				fresh := newReceiver(t, s, strconv.Itoa(topic), fmt.Sprint("run ", period, " ", i))
				ackNext(t, fresh)
				require.NoError(t, fresh.Close())
			}
			clock.Step(time.Hour / time.Duration(perPeriod))
		}
		inUse := heapInUse() - before
		t.Logf("after %8d events: %6.2f MB", (period+1)*perPeriod, float64(inUse)/1e6)
		if period == 0 {
			settled = inUse
			continue
		}
		require.Less(t, inUse, settled+settled/4+1<<19, "bytes in use after period %d", period+1)
	}
	// All this while, the streamer had something to give back.
	stats := s.Stats()
	retained := 0
	for _, topic := range stats.Topics {
		retained += topic.Retained
	}
	require.Positive(t, retained)
	require.LessOrEqual(t, retained, perPeriod+topics)
	require.LessOrEqual(t, len(stats.Receivers), perPeriod/100+topics+1)
}

// ackNext is recv in a form that is cheap enough for ten million events.
func ackNext(t *testing.T, r memstreamer.EventReceiver) {
	_, ack, err := r.Recv(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := ack(); err != nil {
		t.Fatal(err)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// BenchmarkSweep times single calls while there is a backlog to drop: events of
// many topics, and a tenth as many cursors, that have all expired. The backlog is
// made anew and the same calls are made again, and the fastest time of each call
// counts: what is left is its own work, and not that of whatever else ran on the
// machine. max-ns is the worst single call.
func BenchmarkSweep(b *testing.B) {
	const calls = 1000
	for _, kind := range []struct {
		name string
		// prepare returns the calls that are timed, and what comes before each.
		prepare func(b *testing.B, s *memstreamer.StreamConstructor) (before, timed func(i int) error)
	}{
		{"Send", func(b *testing.B, s *memstreamer.StreamConstructor) (before, timed func(int) error) {
			sender := newSender(b, s, "busy")
			return nil, func(int) error { return sender.Send(b.Context(), "7", 1, nil) }
		}},
		{"Ack", func(b *testing.B, s *memstreamer.StreamConstructor) (before, timed func(int) error) {
			sender, receiver := newSender(b, s, "busy"), newReceiver(b, s, "busy", "step")
			for range calls {
				send(b, sender, "7")
			}
			var ack memstreamer.Ack
			return func(int) (err error) {
				_, ack, err = receiver.Recv(b.Context())
				return err
			}, func(int) error { return ack() }
		}},
		{"NewReceiver", func(b *testing.B, s *memstreamer.StreamConstructor) (before, timed func(int) error) {
			names := make([]string, calls)
			for i := range names {
				names[i] = fmt.Sprint("name ", i)
			}
			return nil, func(i int) error {
				_, err := s.NewReceiver(b.Context(), "busy", names[i])
				return err
			}
		}},
		{"Close", func(b *testing.B, s *memstreamer.StreamConstructor) (before, timed func(int) error) {
			receivers := make([]memstreamer.EventReceiver, calls)
			for i := range receivers {
				receivers[i] = newReceiver(b, s, "busy", fmt.Sprint("name ", i))
			}
			return nil, func(i int) error { return receivers[i].Close() }
		}},
	} {
		for _, topics := range []int{0, 200, 2000} {
			b.Run(fmt.Sprintf("%s/expired=%d", kind.name, topics*100), func(b *testing.B) {
				fastest := make([]time.Duration, calls)
				for b.Loop() {
					for range 5 {
						s, clock := newRetaining()
						before, timed := kind.prepare(b, s)
						expire(b, s, clock, topics)
						for i := range calls {
							if before != nil {
								if err := before(i); err != nil {
									b.Fatal(err)
								}
							}
							start := time.Now()
							err := timed(i)
							took := time.Since(start)
							if err != nil {
								b.Fatal(err)
							}
							if fastest[i] == 0 || took < fastest[i] {
								fastest[i] = took
							}
						}
					}
				}
				b.ReportMetric(0, "ns/op")
				reportLatency(b, "", fastest)
			})
		}
	}
}

// expire leaves 100 events and 10 cursors behind on each of some topics, all of
// them expired.
func expire(b *testing.B, s *memstreamer.StreamConstructor, clock *steppedClock, topics int) {
	for i := range topics {
		name := fmt.Sprint("topic ", i)
		sender := newSender(b, s, name)
		for range 100 {
			send(b, sender, "7")
		}
		require.NoError(b, sender.Close())
		for j := range 10 {
			require.NoError(b, newReceiver(b, s, name, strconv.Itoa(j)).Close())
		}
	}
	clock.Step(2 * time.Hour)
}

// BenchmarkStats takes snapshots while another goroutine sends as fast as it
// can. held-up is the slowest Send during each snapshot; send is any, without
// snapshots.
func BenchmarkStats(b *testing.B) {
	for _, receivers := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("receivers=%d", receivers), func(b *testing.B) {
			// What is sent is dropped soon, so that only the receivers count.
			s := memstreamer.New(memstreamer.WithRetention(time.Millisecond))
			for i := range receivers {
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
					took := int64(timedSend())
					if took > slowest.Load() {
						slowest.Store(took)
					}
					sends.Add(1)
				}
			})
			var heldUp []time.Duration
			for b.Loop() {
				slowest.Store(0)
				if got := len(s.Stats().Receivers); got != receivers {
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
