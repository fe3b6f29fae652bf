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
	"github.com/memstreamer/memstreamer/internal/bench"
)

var heapEvents = flag.Int("heap-events", 300_000, "how many events TestTheHeapIsFlat sends")

// benchClock stands still until it is stepped. It holds nanoseconds.
type benchClock struct{ now atomic.Int64 }

func (c *benchClock) Now() time.Time       { return time.Unix(0, c.now.Load()) }
func (c *benchClock) Step(d time.Duration) { c.now.Add(int64(d)) }

// newBenchRetaining returns a streamer with a retention of one hour of clock.
func newBenchRetaining() (s *memstreamer.StreamConstructor, clock *benchClock) {
	clock = new(benchClock)
	return memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(time.Hour)), clock
}

func benchSender(tb testing.TB, s *memstreamer.StreamConstructor, topic string) memstreamer.EventSender {
	sender, err := s.NewSender(tb.Context(), topic)
	failOn(tb, err)
	return sender
}

func benchReceiver(tb testing.TB, s *memstreamer.StreamConstructor, topic, name string) memstreamer.EventReceiver {
	receiver, err := s.NewReceiver(tb.Context(), topic, name)
	failOn(tb, err)
	return receiver
}

// A daemon sends to 50 topics and has acking receivers on all but one of them.
// For every hundredth event it opens a name that was never used, which acks one
// event, closes and does not come back. An event is kept for a period, and one
// that such a name has not acked until that name is forgotten, a period later.
// Once that is so, the heap has to stay as it is. The long form of the
// test:
//
//	go test -v -run TestTheHeapIsFlat -heap-events 10000000 .
func TestTheHeapIsFlat(t *testing.T) {
	const topics, periods, settled = 50, 20, 4
	perPeriod := *heapEvents / periods
	s, clock := newBenchRetaining()
	senders := make([]memstreamer.EventSender, topics)
	receivers := make([]memstreamer.EventReceiver, topics)
	for i := range topics {
		senders[i] = benchSender(t, s, strconv.Itoa(i))
		if i > 0 {
			receivers[i] = benchReceiver(t, s, strconv.Itoa(i), "step")
		}
	}
	headers := map[memstreamer.Header]string{
		memstreamer.HeaderWorkflowName: "orders", memstreamer.HeaderRunID: "0198c6a1-7f0e-7d1a-a5b4-7a0c9d3f1e52",
	}
	takeOne := func(r memstreamer.EventReceiver) {
		_, ack, err := r.Recv(t.Context())
		failOn(t, err)
		failOn(t, ack())
	}
	before := bench.LiveHeap()
	var steady int64
	for period := 1; period <= periods; period++ {
		for i := range perPeriod {
			topic := i % topics
			failOn(t, senders[topic].Send(t.Context(), "7", 1, headers))
			if receivers[topic] != nil {
				takeOne(receivers[topic])
			}
			if i%100 == 0 {
				fresh := benchReceiver(t, s, strconv.Itoa(topic), fmt.Sprint("run ", period, " ", i))
				takeOne(fresh)
				failOn(t, fresh.Close())
			}
			clock.Step(time.Hour / time.Duration(perPeriod))
		}
		inUse := bench.LiveHeap() - before
		t.Logf("after %8d events: %6.2f MB", period*perPeriod, float64(inUse)/1e6)
		if period <= settled {
			steady = max(steady, inUse)
			continue
		}
		// A log gives its memory back by tens of KB.
		require.Less(t, inUse, steady+steady/4+topics*32<<10, "bytes in use after period %d", period)
	}
	// All this while, the streamer had something to give back.
	stats := s.Stats()
	retained := 0
	for _, topic := range stats.Topics {
		retained += topic.Retained
	}
	require.Positive(t, retained)
	require.LessOrEqual(t, retained, 2*perPeriod+topics)
	require.LessOrEqual(t, len(stats.Receivers), perPeriod/100+topics+1)
}

// BenchmarkSweep times single calls of a streamer in which a million events have
// expired at once, half of them on one topic and half on 5,000 with ten closed
// names each, until all of them are gone. The same is done three times over, and
// the fastest time of each call counts: what is left is its own work, and not
// that of whatever else ran on the machine. max-ns is the worst single call.
func BenchmarkSweep(b *testing.B) {
	events, calls := 1_000_000, 20_000
	if testing.Short() {
		events, calls = 10_000, 400
	}
	kinds := []string{"send", "ack", "open", "close"}
	fastest := make(map[string][]time.Duration)
	for b.Loop() {
		for range 3 {
			empty := bench.LiveHeap()
			s, clock := newBenchRetaining()
			expire(b, s, clock, events)
			sender, receiver := benchSender(b, s, "busy"), benchReceiver(b, s, "busy", "step")
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
func expire(b *testing.B, s *memstreamer.StreamConstructor, clock *benchClock, events int) {
	leave := func(topic string, events int) {
		sender := benchSender(b, s, topic)
		for range events {
			failOn(b, sender.Send(b.Context(), "7", 1, nil))
		}
		failOn(b, sender.Close())
		for i := range 10 {
			failOn(b, benchReceiver(b, s, topic, strconv.Itoa(i)).Close())
		}
	}
	leave("large", events/2)
	const each = 100
	for i := range events / 2 / each {
		leave(fmt.Sprint("small ", i), each)
	}
	clock.Step(3 * time.Hour)
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
				benchReceiver(b, s, fmt.Sprint("topic ", i%100), strconv.Itoa(i))
			}
			sender := benchSender(b, s, "busy")
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
