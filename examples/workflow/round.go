package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"
	adapter "github.com/luno/workflow/adapters/memstreamer"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/internal/cli"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
	"github.com/memstreamer/memstreamer/internal/cputime"
	"github.com/memstreamer/memstreamer/luno"
)

// arrangement is what the engine runs on.
type arrangement struct {
	name, is string
	open     func() parts
}

// parts are what an arrangement has opened.
type parts struct {
	streamer workflow.EventStreamer
	records  workflow.RecordStore
	names    func() int // that the streamer keeps a position for
	close    func() error
}

var arrangements = []arrangement{
	{"adapter", "the engine's own, in memory", func() parts {
		s := adapter.New()
		return parts{
			streamer: s,
			records:  memrecordstore.New(),
			// It does not tell.
			names: func() int {
				return reflect.ValueOf(s).Elem().FieldByName("cursorStore").Elem().FieldByName("cursors").Len()
			},
			close: func() error { return nil },
		}
	}},
	{"ours", "memstreamer in its place", func() parts { return ours(memrecordstore.New()) }},
	{"parked", "ours, with luno.ParkOutbox", func() parts { return ours(luno.ParkOutbox(memrecordstore.New(), 0)) }},
}

func ours(records workflow.RecordStore) parts {
	s := memstreamer.New(memstreamer.WithRetention(time.Hour))
	return parts{
		streamer: luno.Streamer(s),
		records:  records,
		names:    func() int { return len(s.Stats().Receivers) },
		close:    s.Close,
	}
}

// arrangements are those that -only leaves.
func (p *program) arrangements() []arrangement {
	return slices.DeleteFunc(slices.Clone(arrangements), func(a arrangement) bool { return p.only != "" && a.name != p.only })
}

// rounds runs the orders on each arrangement, and prints the table, also of what was
// done before ctx ended, or before a failure.
func (p *program) rounds(ctx context.Context, orders []fulfilment.Order) (err error) {
	// What the engine makes once for the whole process is no round's.
	warm := round{parts: arrangements[len(arrangements)-1].open(), progress: &cli.Progress{W: io.Discard}}
	if err := warm.run(context.WithoutCancel(ctx), orders[:1], 0); err != nil {
		return err
	}
	var results []result
	all := p.arrangements()
	for i, a := range all {
		if ctx.Err() != nil {
			break
		}
		r := round{
			result:   result{arrangement: a},
			parts:    a.open(),
			progress: p.progress,
			title:    fmt.Sprintf("%d/%d %s", i+1, len(all), a.name),
			idle:     p.idle,
		}
		err = r.run(ctx, orders, p.rate)
		if len(r.took) > 0 {
			results = append(results, r.result)
		}
		if err != nil {
			break
		}
	}
	p.progress.Clear()
	if len(results) > 0 {
		if _, writeErr := fmt.Fprint(p.stdout, table(len(orders), p.rate, results)); err == nil {
			err = writeErr
		}
	}
	return err
}

// result is what a round has measured.
type result struct {
	arrangement
	took       []time.Duration // of each order, from Trigger to the end of its run; sorted
	failures   int64           // of tries of steps
	cpu        time.Duration   // of the process, until all orders were delivered
	goroutines int             // then, besides those before the round
	heap       int64           // in bytes, likewise
	kept       int             // names, by the streamer
	cores      float64         // while idle, negative if that was not measured
}

// round is one run of the orders on fresh parts.
type round struct {
	result
	parts
	progress *cli.Progress
	title    string
	idle     time.Duration

	failing atomic.Int64
}

// run runs the orders, and places so many a second, or all at once. When ctx is done
// it places no more, finishes those that it has placed, and measures no idle time.
func (r *round) run(ctx context.Context, orders []fulfilment.Order, rate int) error {
	goroutines, heap := afterGC()
	delivered := make(chan time.Duration, len(orders))
	b := fulfilment.NewBuilder(r.work())
	b.OnComplete(func(_ context.Context, record *workflow.TypedRecord[fulfilment.Order, fulfilment.Status]) error {
		delivered <- time.Since(record.CreatedAt)
		return nil
	})
	w := b.Build(r.streamer, r.records, memrolescheduler.New(), workflow.WithLogger(logger{r}))
	w.Run(context.WithoutCancel(ctx))
	awaiting, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	cpu := cputime.Process()
	var awaits sync.WaitGroup
	placed := make(chan int, 1)
	var failure error // read after placed
	go func() {
		n, err := place(ctx, orders, rate, func(order *fulfilment.Order) error {
			runID, err := w.Trigger(awaiting, order.ID, workflow.WithInitialValue[fulfilment.Order, fulfilment.Status](order))
			if order == &orders[0] {
				r.progress.Begin(fmt.Sprintf("%s: %d orders", r.title, len(orders)))
			}
			if err == nil {
				// As whoever placed the order would.
				awaits.Go(func() { _, _ = w.Await(awaiting, order.ID, runID, fulfilment.Delivered) })
			}
			return err
		})
		failure = err
		placed <- n
	}()
	left := len(orders)
	show := time.NewTicker(100 * time.Millisecond)
	defer show.Stop()
	interrupted := ctx.Done()
	for placing := true; placing || len(r.took) < left; {
		select {
		case took := <-delivered:
			r.took = append(r.took, took)
		case left = <-placed:
			placing = false
		case <-interrupted:
			interrupted = nil
			r.progress.Say("workflow: %v: finishing the orders in progress; once more to stop at once", context.Cause(ctx))
		case <-show.C:
			r.progress.Show(fmt.Sprintf("%s: %d of %d delivered", r.title, len(r.took), len(orders)))
		}
	}
	r.cpu = cputime.Process() - cpu
	slices.Sort(r.took)
	r.failures = r.failing.Load()

	// Each Await ends soon, or has missed the end of its run.
	missed := time.AfterFunc(time.Second, leave)
	awaits.Wait()
	missed.Stop()
	afterwards, held := afterGC()
	r.goroutines, r.heap = afterwards-goroutines, held-heap
	r.measureIdle(ctx)
	w.Stop()
	r.kept = r.names()
	return errors.Join(failure, r.close())
}

// place places the orders, so many a second, or all at once, until ctx is done. It
// returns how many it has placed.
func place(ctx context.Context, orders []fulfilment.Order, rate int, one func(*fulfilment.Order) error) (n int, err error) {
	start := time.Now()
	for n := range orders {
		if rate > 0 {
			pause(ctx, time.Until(start.Add(time.Duration(n)*time.Second/time.Duration(rate))))
		}
		if ctx.Err() != nil {
			return n, nil
		}
		if err := one(&orders[n]); err != nil {
			return n, fmt.Errorf("place the order %s: %w", orders[n].ID, err)
		}
	}
	return len(orders), nil
}

// measureIdle measures what the process uses while nothing is to be done, unless ctx
// ends meanwhile.
func (r *round) measureIdle(ctx context.Context) {
	r.cores = -1
	if r.idle == 0 || ctx.Err() != nil {
		return
	}
	r.progress.Show(r.title + ": idle")
	start, used := time.Now(), cputime.Process()
	pause(ctx, r.idle)
	if ctx.Err() == nil {
		r.cores = float64(cputime.Process()-used) / float64(time.Since(start))
	}
}

// troubles are the steps that fail now and then: the first try for each order whose
// place is a multiple of the number.
var troubles = map[fulfilment.Status]int{fulfilment.Charged: 20, fulfilment.Shipped: 33}

// work returns the work of the steps.
func (r *round) work() func(context.Context, *fulfilment.Order, fulfilment.Status) error {
	var mu sync.Mutex
	begun := make(map[fulfilment.Status]int) // orders
	failed := make(map[string]bool)          // by order and step
	return func(_ context.Context, order *fulfilment.Order, to fulfilment.Status) error {
		every := troubles[to]
		if every == 0 {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		try := fmt.Sprint(order.ID, " ", to)
		if failed[try] {
			return nil
		}
		if begun[to]++; begun[to]%every > 0 {
			return nil
		}
		failed[try] = true
		r.failing.Add(1)
		return fmt.Errorf("%s %s", order.ID, onPurpose)
	}
}

const onPurpose = "fails on purpose"

// logger tells of the errors that were not made on purpose.
type logger struct{ *round }

func (l logger) Debug(context.Context, string, map[string]string) {}

func (l logger) Error(_ context.Context, err error) {
	if !strings.Contains(err.Error(), onPurpose) { // the engine wraps none
		l.progress.Say("workflow: %v", err)
	}
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// afterGC collects garbage until the number of goroutines is steady, and returns that
// number and the bytes of the heap.
func afterGC() (goroutines int, heap int64) {
	for goroutines = -1; goroutines != runtime.NumGoroutine(); time.Sleep(20 * time.Millisecond) {
		goroutines = runtime.NumGoroutine()
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return goroutines, int64(stats.HeapAlloc)
}
