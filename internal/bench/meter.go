package bench

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/internal/cputime"
)

// Meter counts the processor time of the process, garbage collections included,
// while the timer of b runs.
type Meter struct {
	b     *testing.B
	used  time.Duration
	since time.Duration
}

// NewMeter collects the garbage of the setup and starts counting.
func NewMeter(b *testing.B) *Meter {
	b.ReportAllocs()
	runtime.GC()
	b.ResetTimer()
	return &Meter{b: b, since: cputime.Process()}
}

// pause stops counting, and the timer, while f runs and its garbage is collected.
func (m *Meter) pause(f func()) {
	m.b.StopTimer()
	m.used += cputime.Process() - m.since
	f()
	runtime.GC()
	m.since = cputime.Process()
	m.b.StartTimer()
}

func (m *Meter) total() time.Duration { return m.used + cputime.Process() - m.since }

// Report reports the processor time of an operation, after the last one.
func (m *Meter) Report() {
	m.b.ReportMetric(float64(m.total())/float64(m.b.N), "cpu-ns/op")
}

// LiveHeap returns the bytes of the heap that are in use after a collection.
func LiveHeap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// Settle waits until no other goroutine has anything to do, for half a second at
// most: some brokers go on working after a receiver is opened, and some never
// rest.
func Settle() {
	samples := []metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
	}
	for deadline := time.Now().Add(time.Second / 2); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		metrics.Read(samples)
		if samples[0].Value.Uint64() == 0 && samples[1].Value.Uint64() <= 1 {
			break
		}
	}
	runtime.GC()
}
