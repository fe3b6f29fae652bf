package luno_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/luno/workflow/adapters/memtimeoutstore"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/luno"
)

// The tests of this file hold what README.md says about the engine, under "What the
// engine does". One that fails after a new version of the engine means that the README
// has to change.

// TestEngineAwaitOfAPausedRun has Await of the last status return for a pause and for a
// cancellation, but not for a pause from before the Await.
func TestEngineAwaitOfAPausedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := luno.ParkOutbox(memrecordstore.New(), 0)
		w := start(t, luno.Streamer(memstreamer.New()), store, []stepFunc{func(ctx context.Context, r *run) (status, error) {
			if r.Meta.Version == 1 {
				time.Sleep(time.Second)
				return r.Pause(ctx, "wait for a payment")
			}
			time.Sleep(30 * time.Second)
			return r.Cancel(ctx, "no payment came")
		}})
		runID := trigger(t, w, "order")
		r, err := await(t, w, "order", runID, 2)
		require.NoError(t, err)
		require.Equal(t, workflow.RunStatePaused, r.RunState)
		require.Equal(t, status(1), r.Status)

		require.NoError(t, workflow.NewRunStateController(store.Store, &r.Record).Resume(t.Context()))
		time.Sleep(time.Second)
		for range 2 { // when it is cancelled, and afterwards
			r, err = await(t, w, "order", runID, 2)
			require.NoError(t, err)
			require.Equal(t, workflow.RunStateCancelled, r.RunState)
			require.Equal(t, status(1), r.Status)
		}
	})
}

// TestEngineKeepsRunStateChanges has the consumer of paused records hold the events of
// finished runs.
func TestEngineKeepsRunStateChanges(t *testing.T) {
	for name, test := range map[string]struct {
		opts  []workflow.BuildOption
		after time.Duration
		kept  int
	}{
		"default, 59 minutes": {nil, 59 * time.Minute, 1},
		"default, 61 minutes": {nil, 61 * time.Minute, 0},
		"WithPauseRetry":      {[]workflow.BuildOption{workflow.WithPauseRetry(time.Second)}, 2 * time.Minute, 0},
		"DisablePauseRetry":   {[]workflow.BuildOption{workflow.DisablePauseRetry()}, 2 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstreamer.New(memstreamer.WithRetention(time.Minute))
				w := start(t, luno.Streamer(s), memrecordstore.New(), []stepFunc{next}, test.opts...)
				trigger(t, w, "order")
				time.Sleep(test.after)
				kept := 0
				for _, topic := range s.Stats().Topics {
					kept += topic.Retained
				}
				require.Equal(t, test.kept, kept)
			})
		})
	}
}

// connect runs a workflow that a connector of 90 events triggers, for a minute, and
// returns how many it did, and how many it should have if a shard took the events whose
// ID has its remainder, as those of a positive one do.
func connect(t *testing.T, parallel int, opts ...workflow.BuildOption) (triggered, matched int, stats memstreamer.Stats) {
	synctest.Test(t, func(t *testing.T) {
		events := make([]workflow.ConnectorEvent, 90)
		for i := range events {
			events[i].ID = fmt.Sprint(i, " of the shop")
			hash := fnv.New64()
			hash.Write([]byte(events[i].ID))
			if parallel < 2 || int64(hash.Sum64())%int64(parallel) >= 0 {
				matched++
			}
		}
		connector := memstreamer.NewConnector(events)
		var n atomic.Int64
		b := workflow.NewBuilder[object, status]("orders")
		b.AddStep(1, next, 2)
		b.AddConnector("shop", memstreamer.AsConnector[workflow.ConnectorConstructor](connector),
			func(ctx context.Context, api workflow.API[object, status], e *workflow.ConnectorEvent) error {
				n.Add(1)
				return nil
			},
		).WithOptions(workflow.ParallelCount(parallel))
		w := b.Build(luno.Streamer(memstreamer.New()), memrecordstore.New(), memrolescheduler.New(), opts...)
		w.Run(t.Context())
		time.Sleep(time.Minute)
		w.Stop()
		triggered, stats = int(n.Load()), connector.Stats()
	})
	return triggered, matched, stats
}

func TestEngineLosesEventsOfAShardedConnector(t *testing.T) {
	triggered, _, _ := connect(t, 1)
	require.Equal(t, 90, triggered)

	triggered, matched, stats := connect(t, 3)
	require.Equal(t, matched, triggered)
	require.Less(t, triggered, 90)
	require.Len(t, stats.Receivers, 3)
	for _, r := range stats.Receivers {
		require.Equal(t, int64(90), r.Acked, r.Name)
	}

	triggered, _, stats = connect(t, 0, workflow.WithDefaultOptions(workflow.ParallelCount(3)))
	require.Zero(t, triggered, "a connector without a ParallelCount of its own")
	require.Empty(t, stats.Receivers)
}

// limitedTimeouts is a timeout store whose ListValid waits once it was called limit
// times.
type limitedTimeouts struct {
	workflow.TimeoutStore
	limit, calls atomic.Int64
}

func (s *limitedTimeouts) ListValid(ctx context.Context, workflowName string, status int, now time.Time) ([]workflow.TimeoutRecord, error) {
	if s.calls.Add(1) >= s.limit.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.TimeoutStore.ListValid(ctx, workflowName, status, now)
}

// TestEngineDefaultOptions has WithDefaultOptions set to 0 what it does not name.
func TestEngineDefaultOptions(t *testing.T) {
	const limit = 1000
	for name, test := range map[string]struct {
		opts  []workflow.BuildOption
		tries int64 // of a step that fails, and of a look for timeouts, in ten seconds
		looks int64
	}{
		"defaults":  {nil, 10, 20},
		"one named": {[]workflow.BuildOption{workflow.WithDefaultOptions(workflow.ParallelCount(1))}, limit, limit},
		"all named": {[]workflow.BuildOption{workflow.WithDefaultOptions(
			workflow.ParallelCount(1), workflow.ErrBackOff(time.Second), workflow.PollingFrequency(500*time.Millisecond),
		)}, 10, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int64
				timeouts := &limitedTimeouts{TimeoutStore: memtimeoutstore.New()}
				timeouts.limit.Store(limit)
				b := workflow.NewBuilder[object, status]("orders")
				b.AddStep(1, func(ctx context.Context, r *run) (status, error) {
					if tries.Add(1) < limit {
						return 0, errors.New("the printer is off")
					}
					return r.Skip()
				}, 2)
				b.AddTimeout(2, workflow.DurationTimerFunc[object, status](time.Hour),
					func(ctx context.Context, r *run, now time.Time) (status, error) { return 3, nil }, 3)
				w := b.Build(luno.Streamer(memstreamer.New()), luno.ParkOutbox(memrecordstore.New(), 0), memrolescheduler.New(),
					append(test.opts, workflow.WithTimeoutStore(timeouts), workflow.WithLogger(&logger{}))...)
				w.Run(t.Context())
				defer w.Stop()
				trigger(t, w, "order")
				time.Sleep(10*time.Second - time.Nanosecond)
				require.Equal(t, test.tries, tries.Load())
				require.Equal(t, test.looks, timeouts.calls.Load())
			})
		})
	}
}

// TestEngineWithoutItsRecords has events outlive their records, as those of a file do
// with records in memory: a step passes over them, and a hook stops at the first one.
func TestEngineWithoutItsRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streamer := luno.Streamer(memstreamer.New())
		w := start(t, streamer, luno.ParkOutbox(memrecordstore.New(), 0), []stepFunc{next})
		trigger(t, w, "finished")
		synctest.Wait()
		w.Stop()

		var steps, hooks atomic.Int64
		b := workflow.NewBuilder[object, status]("orders")
		b.AddStep(1, func(ctx context.Context, r *run) (status, error) {
			steps.Add(1)
			return next(ctx, r)
		}, 2).WithOptions(workflow.ParallelCount(2)) // new names: all is there for them
		b.OnComplete(func(context.Context, *workflow.TypedRecord[object, status]) error {
			hooks.Add(1)
			return nil
		})
		w = b.Build(streamer, luno.ParkOutbox(memrecordstore.New(), 0), memrolescheduler.New(), workflow.WithLogger(&logger{}))
		w.Run(t.Context())
		defer w.Stop()
		runID := trigger(t, w, "new")
		r, err := await(t, w, "new", runID, 2)
		require.NoError(t, err)
		require.Equal(t, workflow.RunStateCompleted, r.RunState)
		time.Sleep(time.Hour)
		require.Equal(t, int64(1), steps.Load())
		require.Zero(t, hooks.Load())
	})
}

// logger counts the errors that the engine logs.
type logger struct{ errors atomic.Int64 }

func (*logger) Debug(context.Context, string, map[string]string) {}
func (l *logger) Error(context.Context, error)                   { l.errors.Add(1) }

// TestEngineAfterItsStreamer has the streamer closed before the engine has stopped.
func TestEngineAfterItsStreamer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstreamer.New()
		log := &logger{}
		w := start(t, luno.Streamer(s), luno.ParkOutbox(memrecordstore.New(), 0), []stepFunc{next}, workflow.WithLogger(log))
		synctest.Wait()
		require.NoError(t, s.Close())
		time.Sleep(10*time.Second - time.Nanosecond)
		w.Stop()
		// The step, the deletions and the retries of paused runs.
		require.Equal(t, int64(3*10), log.errors.Load())
	})
}
