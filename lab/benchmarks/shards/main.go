// Command shards measures runs of luno/workflow whose five steps have a ParallelCount of
// 1, 4 and 16, on memstreamer in memory and in one file. It prints a table, and how its
// goals are met:
//
//	go run -C lab/benchmarks ./shards
package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/cputime"
	"github.com/memstreamer/memstreamer/luno"
	"github.com/memstreamer/memstreamer/sqlite"
)

const steps = 5

type status int

func (s status) String() string { return strconv.Itoa(int(s)) }

type object struct{}

type streamer interface {
	memstreamer.EventStreamer
	io.Closer
	Stats() memstreamer.Stats
}

// places are what holds the events.
var places = []struct {
	title string
	open  func(dir string) (streamer, error)
}{
	{"memory", func(string) (streamer, error) { return memstreamer.New(), nil }},
	{"one file", openFile},
}

func openFile(dir string) (streamer, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "bench.db")+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	s, err := sqlite.New(context.Background(), db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return file{s, db}, nil
}

type file struct {
	*sqlite.Streamer
	db *sql.DB
}

func (f file) Close() error { return errors.Join(f.Streamer.Close(), f.db.Close()) }

var counts = []int{1, 4, 16}

// figures are of one run of the engine: the processor time, and the time from Trigger to
// the end.
type figures struct{ cpu, mean time.Duration }

func main() {
	runs := flag.Int("runs", 1000, "runs of a measurement")
	rate := flag.Int("rate", 100, "runs a second")
	rounds := flag.Int("rounds", 5, "measurements of each, in turns")
	flag.Parse()
	if *runs < 1 || *rate < 1 || *rounds < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, *runs, *rate, *rounds); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer, runs, rate, rounds int) error {
	measured := make([][][]figures, len(places)) // by place, count and round
	for i := range places {
		measured[i] = make([][]figures, len(counts))
	}
	for range rounds {
		for i, place := range places {
			for j, count := range counts {
				f, err := measure(place.open, count, runs, rate)
				if err != nil {
					return fmt.Errorf("%s, %d shards: %w", place.title, count, err)
				}
				measured[i][j] = append(measured[i][j], f)
			}
		}
	}
	fmt.Fprint(out, "| a run of five steps | CPU, 1 shard | 4 | 16 | mean, 1 shard | 4 | 16 |\n|---|---:|---:|---:|---:|---:|---:|\n")
	for i, place := range places {
		fmt.Fprintf(out, "| %s |", place.title)
		for _, of := range []func(figures) time.Duration{cpu, mean} {
			for j := range counts {
				fmt.Fprintf(out, " %.3g ms |", median(measured[i][j], func(f figures) float64 { return of(f).Seconds() * 1000 }))
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprint(out, "\n| 16 shards over 1 | measured | goal | |\n|---|---:|---:|---|\n")
	for _, target := range []struct {
		what string
		of   func(figures) time.Duration
		goal float64
	}{{"CPU of a run", cpu, 1.15}, {"mean of a run", mean, 1.2}} {
		for i, place := range places {
			one, many := measured[i][0], measured[i][len(counts)-1]
			ratios := make([]float64, rounds)
			for n := range ratios {
				ratios[n] = float64(target.of(many[n])) / float64(target.of(one[n]))
			}
			ratio, verdict := median(ratios, func(r float64) float64 { return r }), "met"
			if ratio > target.goal {
				verdict = "missed"
			}
			fmt.Fprintf(out, "| %s, %s | %.2f | ≤ %.2f | %s |\n", target.what, place.title, ratio, target.goal, verdict)
		}
	}
	return nil
}

func cpu(f figures) time.Duration  { return f.cpu }
func mean(f figures) time.Duration { return f.mean }

func median[T any](of []T, v func(T) float64) float64 {
	sorted := slices.SortedFunc(slices.Values(of), func(a, b T) int { return cmp.Compare(v(a), v(b)) })
	return (v(sorted[(len(sorted)-1)/2]) + v(sorted[len(sorted)/2])) / 2
}

// measure has an engine do so many runs.
func measure(open func(dir string) (streamer, error), shards, runs, rate int) (f figures, err error) {
	dir, err := os.MkdirTemp("", "memstreamer-shards-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	s, err := open(dir)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	var running sync.WaitGroup
	var mu sync.Mutex
	var took time.Duration
	b := workflow.NewBuilder[object, status]("orders")
	for from := status(1); from <= steps; from++ {
		b.AddStep(from, func(context.Context, *workflow.Run[object, status]) (status, error) {
			return from + 1, nil
		}, from+1).WithOptions(workflow.ParallelCount(shards))
	}
	b.OnComplete(func(_ context.Context, r *workflow.TypedRecord[object, status]) error {
		mu.Lock()
		defer mu.Unlock()
		took += time.Since(r.CreatedAt)
		running.Done()
		return nil
	})
	w := b.Build(luno.Streamer(s), luno.ParkOutbox(memrecordstore.New(), 0), memrolescheduler.New())
	w.Run(context.Background())
	defer w.Stop()
	for parked(s) < steps*shards {
		time.Sleep(10 * time.Millisecond)
	}

	start, used := time.Now(), cputime.Process()
	for n := range runs {
		time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / time.Duration(rate))))
		running.Add(1)
		if _, err := w.Trigger(context.Background(), strconv.Itoa(n)); err != nil {
			return f, err
		}
	}
	running.Wait()
	mu.Lock()
	defer mu.Unlock()
	return figures{(cputime.Process() - used) / time.Duration(runs), took / time.Duration(runs)}, nil
}

// parked returns how many calls of Recv wait.
func parked(s streamer) (n int) {
	for _, r := range s.Stats().Receivers {
		n += r.Parked
	}
	return n
}
