package bench

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/internal/cputime"
)

// MeasureCPU collects the garbage of the setup and resets the timer of b. Call report
// after the last operation: it reports the processor time of the process since, garbage
// collections included, by operation (cpu-ns/op) and by second (cores).
func MeasureCPU(b *testing.B) (report func()) {
	b.ReportAllocs()
	runtime.GC()
	b.ResetTimer()
	before := cputime.Process()
	return func() {
		used := float64(cputime.Process() - before)
		b.ReportMetric(used/float64(b.N), "cpu-ns/op")
		b.ReportMetric(used/float64(b.Elapsed()), "cores")
	}
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
