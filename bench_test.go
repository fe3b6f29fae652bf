package memstreamer_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/bench"
)

const (
	// dropping is a retention so short that events are dropped while the
	// benchmark runs.
	dropping = 10 * time.Millisecond
	// keeping is one so long that none are.
	keeping = time.Hour
)

// eachStreamer does a job with memstreamer, without and with a retention. Compare two
// versions of this package with benchstat:
//
//	go test -run '^$' -bench Send -count 10 . | benchstat -col /streamer -
func eachStreamer(b *testing.B, retention time.Duration, job bench.Job) {
	b.Run("streamer=memstreamer", func(b *testing.B) { job(b, bench.Memstreamer) })
	b.Run("streamer=memstreamer+retention", func(b *testing.B) { job(b, bench.Retaining(retention)) })
}

func receivers(n int) string { return fmt.Sprintf("receivers=%d", n) }

// BenchmarkIdle shows park beside spin: see [bench.Idle].
//
//	go test -run '^$' -bench Idle -benchtime 1x .
func BenchmarkIdle(b *testing.B) {
	for _, n := range []int{1, 8, 100} {
		b.Run(receivers(n), func(b *testing.B) {
			eachStreamer(b, dropping, bench.Idle(n))
			b.Run("streamer=polling", func(b *testing.B) { bench.Idle(n)(b, bench.Polling) })
		})
	}
}

func BenchmarkHandoffBesideParked(b *testing.B) {
	for _, n := range []int{0, 100, 10_000} {
		b.Run(receivers(n), func(b *testing.B) { eachStreamer(b, dropping, bench.HandoffBesideParked(n)) })
	}
}

// BenchmarkOutbox makes the events that the other benchmarks send: the part of
// their time and allocations that is not the streamer's.
func BenchmarkOutbox(b *testing.B) {
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		bench.Outbox[memstreamer.Header](bench.Topic, n)
	}
}

func BenchmarkHandoff(b *testing.B)    { eachStreamer(b, dropping, bench.Handoff) }
func BenchmarkSend(b *testing.B)       { eachStreamer(b, dropping, bench.Send) }
func BenchmarkSendAtOnce(b *testing.B) { eachStreamer(b, dropping, bench.SendAtOnce) }
func BenchmarkRecv(b *testing.B)       { eachStreamer(b, keeping, bench.Recv) }
func BenchmarkPass(b *testing.B)       { eachStreamer(b, dropping, bench.Pass(8)) }
func BenchmarkRetained(b *testing.B)   { eachStreamer(b, keeping, bench.Retained) }
func BenchmarkCollection(b *testing.B) { eachStreamer(b, keeping, bench.Collection) }

// BenchmarkOpenMany opens 200,000 consumers of one topic, seven times over. The fastest
// time of each call counts, as in BenchmarkSweep. max-ns is the worst of them.
func BenchmarkOpenMany(b *testing.B) {
	fastest := make([]time.Duration, bench.Scale(200_000))
	for b.Loop() {
		for round := range 7 {
			s := memstreamer.New()
			for i := range fastest {
				name := strconv.Itoa(i)
				start := time.Now()
				_, err := s.NewReceiver(b.Context(), bench.Topic, name)
				took := time.Since(start)
				failOn(b, err)
				if round == 0 || took < fastest[i] {
					fastest[i] = took
				}
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(slices.Max(fastest)), "max-ns")
}

func failOn(tb testing.TB, err error) {
	if err != nil {
		tb.Helper()
		tb.Fatal(err)
	}
}
