package benchmarks

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aclements/go-moremath/stats"
	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/internal/bench"
)

// A workflow has steps from each status to the next.
const steps = 5

const last = status(steps + 1)

type status int

func (s status) String() string { return strconv.Itoa(int(s)) }

type object struct{}

// engine is workflows at work on one streamer, each with records of its own.
type engine struct {
	b         *testing.B
	workflows []*workflow.Workflow[object, status]
	names     func() int

	running sync.WaitGroup // has each run that was triggered until its end
	mu      sync.Mutex
	took    []float64 // nanoseconds, by run that has ended
}

// startEngine starts so many workflows, whose steps call step, until stop is called.
func startEngine(b *testing.B, a Arrangement, workflows int, step func()) (e *engine, stop func()) {
	streamer, names, closeStreamer := a.streamer()
	e = &engine{b: b, names: names}
	for i := range workflows {
		builder := workflow.NewBuilder[object, status](fmt.Sprint("workflow ", i))
		for s := status(1); s < last; s++ {
			builder.AddStep(s, func(context.Context, *workflow.Run[object, status]) (status, error) {
				step()
				return s + 1, nil
			}, s+1)
		}
		builder.OnComplete(func(_ context.Context, r *workflow.TypedRecord[object, status]) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.took = append(e.took, float64(time.Since(r.CreatedAt)))
			e.running.Done()
			return nil
		})
		w := builder.Build(streamer, a.records(), memrolescheduler.New(), workflow.WithLogger(failing{b}))
		w.Run(context.Background())
		e.workflows = append(e.workflows, w)
	}
	bench.Settle()
	return e, sync.OnceFunc(func() {
		for _, w := range e.workflows {
			w.Stop()
		}
		require.NoError(b, closeStreamer())
	})
}

func nothing() {}

// failing is a logger for a benchmark in which nothing fails.
type failing struct{ b *testing.B }

func (failing) Debug(context.Context, string, map[string]string) {}
func (l failing) Error(_ context.Context, err error)             { l.b.Error(err) }

// trigger starts the nth run.
func (e *engine) trigger(n int) (w *workflow.Workflow[object, status], foreignID, runID string) {
	w, foreignID = e.workflows[n%len(e.workflows)], strconv.Itoa(n)
	e.running.Add(1)
	runID, err := w.Trigger(context.Background(), foreignID)
	require.NoError(e.b, err)
	return w, foreignID, runID
}

func eachArrangement(b *testing.B, arrangements []Arrangement, job func(*testing.B, Arrangement)) {
	for _, a := range arrangements {
		b.Run("peer="+a.Name, func(b *testing.B) { job(b, a) })
	}
}

// BenchmarkEngine has eight workflows of five steps, whose runs are triggered at a
// rate, or at once. An operation is a run. mean-ns and p99-ns are the time from
// Trigger to the hook for its end.
func BenchmarkEngine(b *testing.B) {
	for load, interval := range map[string]time.Duration{"20": time.Second / 20, "200": time.Second / 200, "at-once": 0} {
		b.Run("load="+load, func(b *testing.B) {
			eachArrangement(b, Arrangements, func(b *testing.B, a Arrangement) {
				e, stop := startEngine(b, a, 8, nothing)
				defer stop()
				report := bench.MeasureCPU(b)
				start := time.Now()
				for n := range b.N {
					time.Sleep(time.Until(start.Add(time.Duration(n) * interval)))
					e.trigger(n)
				}
				e.running.Wait()
				report()
				took := stats.Sample{Xs: e.took}
				b.ReportMetric(took.Mean(), "mean-ns")
				b.ReportMetric(took.Quantile(0.99), "p99-ns")
			})
		})
	}
}

// BenchmarkEngineIdle has the same workflows do nothing. An operation is half a second
// of that. The figure to read is cores.
func BenchmarkEngineIdle(b *testing.B) {
	eachArrangement(b, Arrangements, func(b *testing.B, a Arrangement) {
		_, stop := startEngine(b, a, 8, nothing)
		defer stop()
		report := bench.MeasureCPU(b)
		for b.Loop() {
			time.Sleep(time.Second / 2)
		}
		report()
	})
}

// BenchmarkEngineAwait counts calls of Await. An operation is a run. pairs are runs for
// which two calls wait at once, and both return. late are runs for which one returns
// that is made 500 ms after the end. names are those that the streamer keeps a position
// for afterwards: eight are those of the five steps and of the engine's own consumers.
func BenchmarkEngineAwait(b *testing.B) {
	eachArrangement(b, Arrangements[2:], func(b *testing.B, a Arrangement) {
		gate := make(chan struct{})
		e, stop := startEngine(b, a, 1, func() { <-gate })
		defer stop()
		var awaits []func(context.Context) bool
		for n := range b.N {
			w, foreignID, runID := e.trigger(n)
			awaits = append(awaits, func(ctx context.Context) bool {
				run, err := w.Await(ctx, foreignID, runID, last)
				return err == nil && run.Status == last
			})
		}
		// An Await that misses its run waits for as long as it may.
		ctx, cancel := context.WithTimeout(b.Context(), 2*time.Second)
		defer cancel()
		time.AfterFunc(time.Second/5, func() { close(gate) }) // by then all of them wait
		pairs := count(awaits, func(await func(context.Context) bool) bool {
			var other sync.WaitGroup
			var found bool
			other.Go(func() { found = await(ctx) })
			mine := await(ctx)
			other.Wait()
			return mine && found
		})
		e.running.Wait()
		time.Sleep(time.Second / 2)
		ctx, cancel = context.WithTimeout(b.Context(), 2*time.Second)
		defer cancel()
		late := count(awaits, func(await func(context.Context) bool) bool { return await(ctx) })
		stop() // so that nothing uses names meanwhile
		b.ReportMetric(float64(pairs), "pairs")
		b.ReportMetric(float64(late), "late")
		b.ReportMetric(float64(e.names()), "names")
	})
}

// count returns for how many of all, which it is asked of at once, f returns true.
func count[T any](all []T, f func(T) bool) int64 {
	var n atomic.Int64
	var asking sync.WaitGroup
	for _, each := range all {
		asking.Go(func() {
			if f(each) {
				n.Add(1)
			}
		})
	}
	asking.Wait()
	return n.Load()
}
