package memstreamer_test

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// reportTail reports the median, the 99th percentile and the worst of single
// calls.
func reportTail(b *testing.B, name string, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), name+"-p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), name+"-p99-ns")
	b.ReportMetric(float64(took[len(took)-1]), name+"-max-ns")
}

// BenchmarkSweep shows the worst single call of each kind while 200,000 events
// over 1,000 topics and 10,000 cursors have expired at once.
func BenchmarkSweep(b *testing.B) {
	const events, topics, cursors, calls = 200_000, 1000, 10_000, 2500
	for b.Loop() {
		b.StopTimer()
		s, clock := newRetaining()
		sender := benchSender(b, s, benchTopic)
		for n := range events {
			failOn(b, benchSend(b.Context(), sender, "topic-"+strconv.Itoa(n%topics), n))
		}
		for n := range cursors {
			failOn(b, benchReceiver(b, s, "topic-"+strconv.Itoa(n%topics), strconv.Itoa(n)).Close())
		}
		runtime.GC()
		clock.Step(2 * time.Hour)
		b.StartTimer()

		kinds := []string{"Send", "NewReceiver", "Ack", "Close"}
		took := map[string][]time.Duration{}
		timed := func(kind string, call func()) {
			start := time.Now()
			call()
			took[kind] = append(took[kind], time.Since(start))
		}
		for n := range calls {
			timed("Send", func() { failOn(b, benchSend(b.Context(), sender, benchTopic, n)) })
			var r memstreamer.EventReceiver
			timed("NewReceiver", func() { r = benchReceiver(b, s, benchTopic, strconv.Itoa(n)) })
			_, ack, err := r.Recv(b.Context())
			failOn(b, err)
			timed("Ack", func() { failOn(b, ack()) })
			timed("Close", func() { failOn(b, r.Close()) })
		}
		for _, kind := range kinds {
			reportTail(b, kind, took[kind])
		}
	}
}

// churn sends events over 50 topics, of which one is read by nobody, with
// acking receivers and a fresh receiver name every 100 events, and has a tenth
// of a second pass with each thousand. It returns the live heap after each
// period of retention.
func churn(tb testing.TB, events int) (heap []uint64) {
	const topics, perPeriod = 50, 50_000
	clock := &steppedClock{now: time.Unix(1_000_000, 0)}
	s := memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(perPeriod/1000*100*time.Millisecond))
	sender := newSender(tb, s, "churn")
	var receivers [topics]memstreamer.EventReceiver
	for i := 1; i < topics; i++ {
		receivers[i] = newReceiver(tb, s, "topic-"+strconv.Itoa(i), "step")
	}
	for n := range events {
		i := n % topics
		topic := "topic-" + strconv.Itoa(i)
		failOn(tb, benchSend(tb.Context(), sender, topic, n))
		if i > 0 {
			_, ack, err := receivers[i].Recv(tb.Context())
			failOn(tb, err)
			failOn(tb, ack())
		}
		if n%100 == 0 {
			r := newReceiver(tb, s, topic, "run-"+strconv.Itoa(n))
			_, ack, err := r.Recv(tb.Context())
			failOn(tb, err)
			failOn(tb, ack())
			failOn(tb, r.Close())
		}
		if n%1000 == 999 {
			clock.Step(100 * time.Millisecond)
		}
		if n%perPeriod == perPeriod-1 {
			runtime.GC()
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			heap = append(heap, stats.HeapAlloc)
		}
	}
	runtime.KeepAlive(s)
	return heap
}

// Memory is given back: what is live after the first two periods, in which the
// log fills, is what is live after the last.
func TestRetentionKeepsTheHeapFlat(t *testing.T) {
	heap := churn(t, 500_000)
	full, last := heap[1], heap[len(heap)-1]
	require.Less(t, last, full+full/4, "live heap by period: %v", heap)
}

// BenchmarkRetention sends ten million events as TestRetentionKeepsTheHeapFlat
// does. The figures to read are the live heap after the second period of
// retention and the largest after any later one.
func BenchmarkRetention(b *testing.B) {
	events := 10_000_000
	if testing.Short() {
		events = 500_000
	}
	for b.Loop() {
		heap := churn(b, events)
		b.ReportMetric(float64(heap[1])/(1<<20), "MiB-filled")
		b.ReportMetric(float64(slices.Max(heap[2:]))/(1<<20), "MiB-max-after")
	}
}

// BenchmarkStats takes a snapshot with 10,000 receivers, on 100 topics and each
// on its own, beside sends that it holds up for as long as it has the lock.
func BenchmarkStats(b *testing.B) {
	const receivers = 10_000
	for _, topics := range []int{100, receivers} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			s := memstreamer.New()
			for n := range receivers {
				benchReceiver(b, s, "topic-"+strconv.Itoa(n%topics), strconv.Itoa(n))
			}
			sender := benchSender(b, s, benchTopic)
			stop := make(chan struct{})
			var took []time.Duration
			var busy sync.WaitGroup
			busy.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					case <-time.After(100 * time.Microsecond):
					}
					start := time.Now()
					if err := benchSend(b.Context(), sender, benchTopic, n); err != nil {
						b.Error(err)
						return
					}
					took = append(took, time.Since(start))
				}
			})
			b.ReportAllocs()
			for b.Loop() {
				if stats := s.Stats(); len(stats.Receivers) != receivers {
					b.Fatalf("%d receivers, want %d", len(stats.Receivers), receivers)
				}
			}
			close(stop)
			busy.Wait()
			if len(took) > 0 {
				reportTail(b, "Send", took)
			}
		})
	}
}
