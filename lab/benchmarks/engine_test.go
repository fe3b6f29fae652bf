package benchmarks

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aclements/go-moremath/stats"
	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/internal/bench"
)

// A workflow has five steps, from each status to the next.
const last = status(6)

type status int

func (s status) String() string { return strconv.Itoa(int(s)) }

type object struct{}

// engine is eight workflows at work on one streamer.
type engine struct {
	workflows [8]*workflow.Workflow[object, status]

	running sync.WaitGroup // has each run that was triggered until its end
	mu      sync.Mutex
	took    []float64 // nanoseconds, by run that has ended
}

// startEngine runs workflows whose steps do nothing, until stop is called.
func startEngine(b *testing.B, p parts) (e *engine, stop func()) {
	e = new(engine)
	for i := range e.workflows {
		builder := workflow.NewBuilder[object, status](fmt.Sprint("workflow ", i))
		for s := status(1); s < last; s++ {
			builder.AddStep(s, func(context.Context, *workflow.Run[object, status]) (status, error) { return s + 1, nil }, s+1).WithOptions(p.step...)
		}
		builder.OnComplete(func(_ context.Context, r *workflow.TypedRecord[object, status]) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.took = append(e.took, float64(time.Since(r.CreatedAt)))
			e.running.Done()
			return nil
		})
		e.workflows[i] = builder.Build(p.streamer, p.records(), memrolescheduler.New(), append(p.options, workflow.WithLogger(failing{b}))...)
		e.workflows[i].Run(context.Background())
	}
	bench.Settle()
	return e, func() {
		for _, w := range e.workflows {
			w.Stop()
		}
		require.NoError(b, p.close())
	}
}

// failing is a logger for a benchmark in which nothing fails.
type failing struct{ b *testing.B }

func (failing) Debug(context.Context, string, map[string]string) {}
func (l failing) Error(_ context.Context, err error)             { l.b.Error(err) }

func eachArrangement(b *testing.B, job func(*testing.B, Arrangement)) {
	for _, a := range Arrangements {
		b.Run("peer="+a.Name, func(b *testing.B) { job(b, a) })
	}
}

// measureRuns has runs triggered at an interval, or at once. An operation is a run.
// mean-ns and p99-ns are the time from Trigger to the hook for its end.
func (e *engine) measureRuns(b *testing.B, interval time.Duration) {
	report := bench.MeasureCPU(b)
	start := time.Now()
	for n := range b.N {
		time.Sleep(time.Until(start.Add(time.Duration(n) * interval)))
		e.running.Add(1)
		_, err := e.workflows[n%len(e.workflows)].Trigger(b.Context(), strconv.Itoa(n))
		require.NoError(b, err)
	}
	e.running.Wait()
	b.StopTimer()
	report()
	took := stats.Sample{Xs: e.took}
	b.ReportMetric(took.Mean(), "mean-ns")
	b.ReportMetric(took.Quantile(0.99), "p99-ns")
}

// measureIdle has no runs. An operation is half a second of that. The figure to read is
// cores.
func measureIdle(b *testing.B) {
	report := bench.MeasureCPU(b)
	for b.Loop() {
		time.Sleep(time.Second / 2)
	}
	report()
}

// BenchmarkEngine is measureRuns in memory.
func BenchmarkEngine(b *testing.B) {
	for load, interval := range map[string]time.Duration{"20": time.Second / 20, "200": time.Second / 200, "at-once": 0} {
		b.Run("load="+load, func(b *testing.B) {
			eachArrangement(b, func(b *testing.B, a Arrangement) {
				e, stop := startEngine(b, a.parts())
				defer stop()
				e.measureRuns(b, interval)
			})
		})
	}
}

// BenchmarkEngineIdle is measureIdle in memory.
func BenchmarkEngineIdle(b *testing.B) {
	eachArrangement(b, func(b *testing.B, a Arrangement) {
		_, stop := startEngine(b, a.parts())
		defer stop()
		measureIdle(b)
	})
}
