package bench

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/internal/cputime"
)

// meter counts the processor time of the process, garbage collections included,
// while the timer of b runs.
type meter struct {
	b     *testing.B
	used  time.Duration
	since time.Duration
}

// newMeter collects the garbage of the setup and starts.
func newMeter(b *testing.B) *meter {
	b.ReportAllocs()
	runtime.GC()
	return &meter{b: b, since: cputime.Process()}
}

// pause stops the clock while f runs, and while its garbage is collected.
func (m *meter) pause(f func()) {
	m.b.StopTimer()
	m.used += cputime.Process() - m.since
	f()
	runtime.GC()
	m.since = cputime.Process()
	m.b.StartTimer()
}

func (m *meter) total() time.Duration { return m.used + cputime.Process() - m.since }

// report is to be called after the last operation.
func (m *meter) report() {
	m.b.ReportMetric(float64(m.total())/float64(m.b.N), "cpu-ns/op")
}

// LiveHeap returns the bytes of the heap that are in use after a collection.
func LiveHeap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// settle returns when no goroutine but its own has anything to do, or after a
// quarter of a second: some brokers work on their own after a receiver has come,
// and some never rest.
func settle() {
	samples := []metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
	}
	for deadline := time.Now().Add(time.Second / 4); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		metrics.Read(samples)
		if samples[0].Value.Uint64() == 0 && samples[1].Value.Uint64() <= 1 {
			break
		}
	}
	runtime.GC()
}
