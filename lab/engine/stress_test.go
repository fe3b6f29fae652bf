package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/luno/workflow/adapters/memtimeoutstore"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/luno"
	"github.com/memstreamer/memstreamer/luno/sqlitestore"
	"github.com/memstreamer/memstreamer/sqlite"
)

// The stress runs stressWorkflows workflows, each of four steps in three shards, a
// callback and a timeout. Their runs come from stressCallers goroutines, which await
// each of theirs, from a connector and from a schedule. A tenth of what the engine
// calls fails, so that it closes a receiver and opens it again.
const (
	stressWorkflows = 6
	stressCallers   = 50
	stressRuns      = 4 // of each caller, and 1 on a file, which is slow with -race
	stressConnected = 20
	stressScheduled = 3
	stressDeadline  = 2 * time.Minute
)

// stage is the status of an order.
type stage int

const (
	placed stage = iota + 1
	charged
	confirming // by a callback
	confirmed
	waiting // for a timeout
	waited
	shipped
)

func (s stage) String() string { return fmt.Sprint("stage ", int(s)) }

// order is what a run carries. A fifth of the orders is paused, and a seventh
// cancelled.
type order struct {
	Number     int
	Unattended bool // is not confirmed
}

func (o *order) pauses() bool  { return o.Number%5 == 0 }
func (o *order) cancels() bool { return o.Number%7 == 0 }

// stress is one test under way.
type stress struct {
	streamer statsStreamer
	records  workflow.RecordStore         // as the engine has it
	under    workflow.RecordStore         // beneath ParkOutbox
	timeouts func() workflow.TimeoutStore // of a workflow
	outbox   workflow.BuildOption
	noOutbox bool
	runs     int // of each caller

	calls atomic.Int64 // that may fail

	mu     sync.Mutex
	ledger map[string]int // how often each thing was done, by what and to which run
}

type statsStreamer interface {
	memstreamer.EventStreamer
	Stats() memstreamer.Stats
	Close() error
}

var errTenth = errors.New("the tenth call fails")

// fails returns an error for every tenth call.
func (s *stress) fails() error {
	if s.calls.Add(1)%10 == 0 {
		return errTenth
	}
	return nil
}

// did notes that something was done, and returns how often it was.
func (s *stress) did(what, runID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger[what+" "+runID]++
	return s.ledger[what+" "+runID]
}

type orderRun = workflow.Run[order, stage]

// step returns a step from one stage to another. before may end it in another way.
func (s *stress) step(to stage, before func(ctx context.Context, r *orderRun) (done bool, next stage, err error)) workflow.ConsumerFunc[order, stage] {
	return func(ctx context.Context, r *orderRun) (stage, error) {
		if err := s.fails(); err != nil {
			return 0, err
		}
		if before != nil {
			if done, next, err := before(ctx, r); done || err != nil {
				return next, err
			}
		}
		s.did(fmt.Sprint("step ", int(r.Status)), r.RunID)
		return to, nil
	}
}

// hook returns a hook that notes what was done, and then does it.
func (s *stress) hook(what string, do func(ctx context.Context, r *workflow.TypedRecord[order, stage]) error) workflow.RunStateChangeHookFunc[order, stage] {
	return func(ctx context.Context, r *workflow.TypedRecord[order, stage]) error {
		if err := s.fails(); err != nil {
			return err
		}
		s.did(what, r.RunID)
		return do(ctx, r)
	}
}

// stressed is one of the workflows.
type stressed struct {
	*workflow.Workflow[order, stage]
	connector *memstreamer.Connector
	scheduled atomic.Int64 // times that the schedule could have triggered a run
}

// start runs workflow number n.
func (s *stress) start(ctx context.Context, n int) *stressed {
	w := &stressed{connector: memstreamer.NewConnector([]memstreamer.ConnectorEvent(nil))}
	nothing := func(context.Context, *workflow.TypedRecord[order, stage]) error { return nil }
	resume := nothing
	retry := workflow.WithPauseRetry(20 * time.Millisecond)
	if n%2 == 1 {
		retry = workflow.DisablePauseRetry()
		resume = func(ctx context.Context, r *workflow.TypedRecord[order, stage]) error {
			return workflow.NewRunStateController(s.records.Store, &r.Record).Resume(ctx)
		}
	}

	b := workflow.NewBuilder[order, stage](fmt.Sprint("Orders of shop ", n))
	b.AddStep(placed, s.step(charged, nil), charged)
	b.AddStep(charged, s.step(confirmed, func(ctx context.Context, r *orderRun) (bool, stage, error) {
		if r.Object.pauses() && s.did("pause", r.RunID) == 1 {
			next, err := r.Pause(ctx, "look at it again")
			return true, next, err
		}
		if !r.Object.Unattended {
			s.did("step 2", r.RunID)
			return true, confirming, nil
		}
		return false, 0, nil
	}), confirming, confirmed)
	b.AddCallback(confirming, func(ctx context.Context, r *orderRun, _ io.Reader) (stage, error) {
		if err := s.fails(); err != nil {
			return 0, err
		}
		s.did("callback", r.RunID)
		return confirmed, nil
	}, confirmed)
	b.AddStep(confirmed, s.step(waiting, nil), waiting)
	b.AddTimeout(waiting, func(ctx context.Context, r *orderRun, now time.Time) (time.Time, error) {
		return now.Add(20 * time.Millisecond), s.fails()
	}, func(ctx context.Context, r *orderRun, now time.Time) (stage, error) {
		if err := s.fails(); err != nil {
			return 0, err
		}
		s.did("timeout", r.RunID)
		return waited, nil
	}, waited)
	b.AddStep(waited, s.step(shipped, func(ctx context.Context, r *orderRun) (bool, stage, error) {
		if !r.Object.cancels() {
			return false, 0, nil
		}
		next, err := r.Cancel(ctx, "out of stock")
		return true, next, err
	}), shipped)
	b.OnPause(s.hook("hook of pause", resume))
	b.OnCancel(s.hook("hook of cancel", nothing))
	b.OnComplete(s.hook("hook of complete", nothing))
	// More shards than one lose events of a connector.
	b.AddConnector("shop", memstreamer.AsConnector[workflow.ConnectorConstructor](w.connector),
		func(ctx context.Context, api workflow.API[order, stage], e *workflow.ConnectorEvent) error {
			if err := s.fails(); err != nil {
				return err
			}
			var o order
			if err := workflow.Unmarshal([]byte(e.Type), &o); err != nil {
				return err
			}
			_, err := api.Trigger(ctx, e.ForeignID, workflow.WithInitialValue[order, stage](&o))
			return err
		},
	).WithOptions(workflow.ParallelCount(1))

	w.Workflow = b.Build(luno.Streamer(s.streamer), s.records, memrolescheduler.New(), retry, s.outbox,
		workflow.WithTimeoutStore(s.timeouts()),
		workflow.WithLogger(silent{}),
		workflow.WithDefaultOptions(
			workflow.ParallelCount(3),
			workflow.ErrBackOff(5*time.Millisecond),
			workflow.PollingFrequency(5*time.Millisecond),
		))
	w.Run(ctx)
	return w
}

type silent struct{}

func (silent) Debug(context.Context, string, map[string]string) {}
func (silent) Error(context.Context, error)                     {}

// call triggers a run, awaits its confirmation and confirms it, and has two goroutines
// await its end.
func (s *stress) call(ctx context.Context, w *stressed, foreignID string, o order) error {
	runID, err := w.Trigger(ctx, foreignID, workflow.WithInitialValue[order, stage](&o))
	if err != nil {
		return err
	}
	if _, err := w.Await(ctx, foreignID, runID, confirming); err != nil {
		return fmt.Errorf("await stage %d: %w", confirming, err)
	}
	for err = errTenth; errors.Is(err, errTenth); {
		err = w.Callback(ctx, foreignID, confirming, strings.NewReader(""))
	}
	if err != nil {
		return fmt.Errorf("callback: %w", err)
	}
	other := make(chan error)
	go func() { other <- s.awaitEnd(ctx, w, foreignID, runID, o) }()
	return errors.Join(s.awaitEnd(ctx, w, foreignID, runID, o), <-other)
}

func (s *stress) awaitEnd(ctx context.Context, w *stressed, foreignID, runID string, o order) error {
	for {
		r, err := w.Await(ctx, foreignID, runID, shipped)
		switch {
		case err != nil:
			return fmt.Errorf("await the end: %w", err)
		case r.RunID != runID:
			return fmt.Errorf("awaited run %s, got %s", runID, r.RunID)
		case !r.RunState.Finished() && o.pauses():
			time.Sleep(10 * time.Millisecond) // it returned because of the pause
		case o.cancels() != (r.RunState == workflow.RunStateCancelled), o.cancels() == (r.Status == shipped):
			return fmt.Errorf("order %d ended as %v, at %v", o.Number, r.RunState, r.Status)
		default:
			return nil
		}
	}
}

// finish returns all records once nothing is left to do.
func (s *stress) finish(ctx context.Context, all []*stressed) (records []workflow.Record, err error) {
	for ; ; time.Sleep(10 * time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, err = s.finished(ctx, all)
		if records != nil || err != nil {
			return records, err
		}
	}
}

// finished returns all records, or none if there is something left to do. Each of its
// conditions holds from then on, if those before it do.
func (s *stress) finished(ctx context.Context, all []*stressed) ([]workflow.Record, error) {
	for _, w := range all {
		stats := w.connector.Stats()
		// The time after the last one: that run was triggered, and has ended.
		if w.scheduled.Load() <= stressScheduled || len(stats.Receivers) == 0 || stats.Receivers[0].Lag > 0 {
			return nil, nil
		}
	}
	records, err := s.under.List(ctx, "", 0, 1_000_000, workflow.OrderTypeAscending)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if !r.RunState.Finished() {
			return nil, nil
		}
	}
	for _, w := range all {
		if s.noOutbox {
			break
		}
		events, err := s.under.ListOutboxEvents(ctx, w.Name(), 1)
		if err != nil || len(events) > 0 {
			return nil, err
		}
	}
	for _, r := range s.streamer.Stats().Receivers {
		if r.Lag > 0 {
			return nil, nil
		}
	}
	return records, nil
}

// check requires that each run did what it should, once.
func (s *stress) check(t *testing.T, records []workflow.Record) {
	require.Len(t, records, stressCallers*s.runs+stressWorkflows*(stressConnected+stressScheduled))
	want := make(map[string]int)
	for _, r := range records {
		var o order
		require.NoError(t, workflow.Unmarshal(r.Object, &o))
		done := []string{"step 1", "step 2", "step 4", "timeout", "step 6", "hook of complete"}
		if o.cancels() {
			done = []string{"step 1", "step 2", "step 4", "timeout", "hook of cancel"}
		}
		if !o.Unattended {
			done = append(done, "callback")
		}
		for _, what := range done {
			want[what+" "+r.RunID] = 1
		}
		if o.pauses() {
			want["hook of pause "+r.RunID] = 1
			want["pause "+r.RunID] = 2 // asked again when it was resumed
		}
	}
	require.Equal(t, want, s.ledger)
	names := 0
	for _, r := range s.streamer.Stats().Receivers {
		require.False(t, r.Ephemeral, r.Name)
		require.Zero(t, r.Open, r.Name)
		names++
	}
	// Of each workflow: the steps in three shards, the timeouts, the three hooks and
	// deletions, and of each second the retries of paused records.
	require.Equal(t, stressWorkflows*(4*3+1+3+1)+stressWorkflows/2, names)
}

func TestStress(t *testing.T) {
	inMemory := func(retention time.Duration, outbox func(workflow.RecordStore) workflow.RecordStore, option workflow.BuildOption) func(*testing.T) *stress {
		return func(*testing.T) *stress {
			under := memrecordstore.New()
			return &stress{
				streamer: memstreamer.New(memstreamer.WithRetention(retention)),
				under:    under,
				records:  outbox(under),
				timeouts: func() workflow.TimeoutStore { return memtimeoutstore.New() },
				outbox:   option,
				runs:     stressRuns,
			}
		}
	}
	oneFile := func(opts ...sqlite.Option) func(*testing.T) *stress {
		return func(t *testing.T) *stress {
			db := openDB(t, 4)
			streamer, err := sqlite.New(t.Context(), db, opts...)
			require.NoError(t, err)
			store, err := sqlitestore.New(t.Context(), db, streamer)
			require.NoError(t, err)
			return &stress{streamer: streamer, under: store, records: store, timeouts: store.Timeouts, outbox: workflow.WithoutOutbox(), noOutbox: true, runs: 1}
		}
	}
	polled := func(records workflow.RecordStore) workflow.RecordStore { return records }
	parked := func(records workflow.RecordStore) workflow.RecordStore { return luno.ParkOutbox(records, 0) }
	for name, test := range map[string]struct {
		retention time.Duration
		start     func(*testing.T) *stress
	}{
		"all is kept":     {0, inMemory(0, parked, workflow.WithOutboxOptions())},
		"retention":       {time.Second, inMemory(time.Second, parked, workflow.WithOutboxOptions())},
		"engine's outbox": {time.Second, inMemory(time.Second, polled, workflow.WithOutboxOptions(workflow.OutboxPollingFrequency(5*time.Millisecond)))},
		"one file":        {0, oneFile()},
		// A consumer that is away for longer than the retention, on a machine that is busy
		// with others, loses events.
		"one file, delayed": {3 * time.Second, oneFile(sqlite.WithRetention(3*time.Second), sqlite.WithAckDelay(20*time.Millisecond))},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			s := test.start(t)
			s.ledger = make(map[string]int)
			s.run(t)
			time.Sleep(test.retention)
			for _, topic := range s.streamer.Stats().Topics {
				require.Zero(t, test.retention, "with retention, all is dropped in the end")
				require.Equal(t, int64(topic.Retained), topic.Sent, topic.Topic)
			}
			goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
		})
	}
}

// run is the stress. It leaves the streamer closed.
func (s *stress) run(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), stressDeadline)
	defer cancel()
	all := make([]*stressed, stressWorkflows)
	for n := range all {
		all[n] = s.start(ctx, n)
	}
	var schedules, callers sync.WaitGroup
	for n, w := range all {
		schedules.Go(func() {
			err := w.Schedule("schedule", "@every 10ms",
				workflow.WithScheduleInitialValue[order, stage](&order{Number: 1, Unattended: true}),
				workflow.WithScheduleFilter[order, stage](func(ctx context.Context) (bool, error) {
					last, err := s.under.Latest(ctx, w.Name(), "schedule")
					if err == nil && !last.RunState.Finished() {
						return false, nil
					}
					return w.scheduled.Add(1) <= stressScheduled, nil
				}))
			if err != nil {
				t.Error(err)
			}
		})
		callers.Go(func() {
			for i := range stressConnected {
				o, err := workflow.Marshal(&order{Number: i, Unattended: true})
				if err != nil {
					t.Error(err)
				}
				id := fmt.Sprintf("connected %d of %d", i, n)
				if err := w.connector.Append(memstreamer.ConnectorEvent{ID: id, ForeignID: id, Type: string(o)}); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	for c := range stressCallers {
		callers.Go(func() {
			for i := range s.runs {
				number := c*s.runs + i
				if err := s.call(ctx, all[number%len(all)], fmt.Sprint("Order ", number), order{Number: number}); err != nil {
					t.Errorf("order %d: %v", number, err)
				}
			}
		})
	}
	callers.Wait()
	records, err := s.finish(ctx, all)
	require.NoError(t, err)
	for _, w := range all {
		w.Stop()
	}
	schedules.Wait()
	s.check(t, records)
	for _, w := range all {
		require.NoError(t, w.connector.Close())
	}
	require.NoError(t, s.streamer.Close())
	t.Logf("%d runs, %d calls of which a tenth failed", len(records), s.calls.Load())
}
