package benchmarks

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/internal/bench"
	"github.com/memstreamer/memstreamer/internal/cputime"
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
	took    []time.Duration // by run that has ended
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
			e.took = append(e.took, time.Since(r.CreatedAt))
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

func eachArrangement(b *testing.B, name string, arrangements []Arrangement, job func(*testing.B, Arrangement)) {
	for _, a := range arrangements {
		b.Run(name+"on="+a.Name, func(b *testing.B) { job(b, a) })
	}
}

// BenchmarkEngine has eight workflows of five steps, whose runs are triggered at a
// rate, or at once. An operation is a run. mean-ns and p99-ns are the time from
// Trigger to the hook for its end.
func BenchmarkEngine(b *testing.B) {
	for _, load := range []struct {
		name string
		rate int // a second
	}{{"20", 20}, {"200", 200}, {"at-once", 0}} {
		eachArrangement(b, "load="+load.name+"/", Arrangements, func(b *testing.B, a Arrangement) {
			e, stop := startEngine(b, a, 8, nothing)
			defer stop()
			m := bench.NewMeter(b)
			start, n := time.Now(), 0
			for ; b.Loop(); n++ {
				if load.rate > 0 {
					time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / time.Duration(load.rate))))
				}
				e.trigger(n)
			}
			e.running.Wait()
			m.Report()
			var sum time.Duration
			for _, d := range e.took {
				sum += d
			}
			slices.Sort(e.took)
			b.ReportMetric(float64(sum)/float64(n), "mean-ns")
			b.ReportMetric(float64(e.took[(99*n+99)/100-1]), "p99-ns")
		})
	}
}

// BenchmarkEngineIdle has the same workflows do nothing. An operation is half a second
// of that. The figure to read is cores.
func BenchmarkEngineIdle(b *testing.B) {
	eachArrangement(b, "", Arrangements, func(b *testing.B, a Arrangement) {
		_, stop := startEngine(b, a, 8, nothing)
		defer stop()
		start, used := time.Now(), cputime.Process()
		for b.Loop() {
			time.Sleep(time.Second / 2)
		}
		b.ReportMetric(float64(cputime.Process()-used)/float64(time.Since(start)), "cores")
	})
}

// BenchmarkEngineAwait counts the calls of Await that return: late are those that are
// made 500 ms after the end of their run, and pairs are runs for which two wait at
// once, and both return. An operation is one of each.
func BenchmarkEngineAwait(b *testing.B) {
	eachArrangement(b, "", Arrangements[2:], func(b *testing.B, a Arrangement) {
		var gate atomic.Pointer[chan struct{}]
		open := make(chan struct{})
		close(open)
		gate.Store(&open)
		e, stop := startEngine(b, a, 1, func() { <-*gate.Load() })
		defer stop()
		var awaits []func(context.Context) bool
		n := 0
		for ; b.Loop(); n++ {
			awaits = append(awaits, e.await(n))
		}
		e.running.Wait()
		time.Sleep(time.Second / 2)
		late := count(awaits)

		closed := make(chan struct{})
		gate.Store(&closed)
		awaits = nil
		for i := range n {
			awaits = append(awaits, e.await(n+i))
		}
		var pairs atomic.Int64
		var waiting sync.WaitGroup
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		for _, await := range awaits {
			waiting.Go(func() {
				var other sync.WaitGroup
				var found bool
				other.Go(func() { found = await(ctx) })
				mine := await(ctx)
				other.Wait()
				if mine && found {
					pairs.Add(1)
				}
			})
		}
		time.Sleep(200 * time.Millisecond) // by then all of them wait
		close(closed)
		waiting.Wait()
		b.ReportMetric(float64(late), "late")
		b.ReportMetric(float64(pairs.Load()), "pairs")
	})
}

// await triggers the nth run, and returns what awaits its end, and reports whether
// that came about.
func (e *engine) await(n int) func(context.Context) bool {
	w, foreignID, runID := e.trigger(n)
	return func(ctx context.Context) bool {
		run, err := w.Await(ctx, foreignID, runID, last)
		return err == nil && run.Status == last
	}
}

// count calls all awaits at once, and returns how many return within two seconds.
func count(awaits []func(context.Context) bool) (found int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var n atomic.Int64
	var waiting sync.WaitGroup
	for _, await := range awaits {
		waiting.Go(func() {
			if await(ctx) {
				n.Add(1)
			}
		})
	}
	waiting.Wait()
	return n.Load()
}

// BenchmarkEngineNames awaits the runs of one workflow, a hundred at a time. An
// operation is an Await. names are those that the streamer keeps a position for
// afterwards: eight are those of the five steps and of the engine's own consumers.
func BenchmarkEngineNames(b *testing.B) {
	eachArrangement(b, "", Arrangements[2:], func(b *testing.B, a Arrangement) {
		e, stop := startEngine(b, a, 1, nothing)
		defer stop()
		var waiting sync.WaitGroup
		ctx, leave := context.WithCancel(context.Background())
		batch := func() {
			e.running.Wait()
			time.AfterFunc(100*time.Millisecond, leave) // the engine's adapter misses some
			waiting.Wait()
			ctx, leave = context.WithCancel(context.Background())
		}
		for n := 0; b.Loop(); n++ {
			await, ctx := e.await(n), ctx
			waiting.Go(func() { await(ctx) })
			if n%100 == 99 {
				batch()
			}
		}
		batch()
		leave()
		stop() // so that nothing uses them meanwhile
		b.ReportMetric(float64(e.names()), "names")
	})
}
