package luno_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/luno"
)

// status is that of the workflows of these tests, whose steps begin with 1.
type status int

func (s status) String() string { return fmt.Sprint("status ", int(s)) }

// object is what the workflows of these tests carry.
type object struct{ Steps int }

type (
	run      = workflow.Run[object, status]
	stepFunc = workflow.ConsumerFunc[object, status]
)

// next is a step that goes on to the next status.
func next(ctx context.Context, r *run) (status, error) {
	r.Object.Steps++
	return r.Status + 1, nil
}

// start runs a workflow of these steps, until the test ends.
func start(t *testing.T, streamer workflow.EventStreamer, store workflow.RecordStore, steps []stepFunc, opts ...workflow.BuildOption) *workflow.Workflow[object, status] {
	b := workflow.NewBuilder[object, status]("orders")
	for i, step := range steps {
		from := status(i + 1)
		b.AddStep(from, step, from+1)
	}
	w := b.Build(streamer, store, memrolescheduler.New(), opts...)
	w.Run(t.Context())
	t.Cleanup(w.Stop)
	return w
}

// trigger starts a run.
func trigger(t *testing.T, w *workflow.Workflow[object, status], foreignID string) (runID string) {
	runID, err := w.Trigger(t.Context(), foreignID)
	require.NoError(t, err)
	return runID
}

// await waits for a status for a minute at most.
func await(t *testing.T, w *workflow.Workflow[object, status], foreignID, runID string, s status) (*run, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return w.Await(ctx, foreignID, runID, s)
}

// slowly is a step that takes a second.
func slowly(ctx context.Context, r *run) (status, error) {
	time.Sleep(time.Second)
	return next(ctx, r)
}

// awaitAll triggers 20 runs, one after the other, and has two calls of Await wait for
// a status of each, some time after. All have to find it.
func awaitAll(t *testing.T, w *workflow.Workflow[object, status], s status, after time.Duration) error {
	var found atomic.Int64
	for i := range 20 {
		foreignID := fmt.Sprint("order ", i)
		runID := trigger(t, w, foreignID)
		time.Sleep(after)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				r, err := await(t, w, foreignID, runID, s)
				if err == nil && r.RunID == runID && r.Status == s {
					found.Add(1)
				}
			})
		}
		both.Wait()
	}
	if found.Load() != 40 {
		return fmt.Errorf("%d of 40 found the run", found.Load())
	}
	return nil
}

// awaitChecks are what Await has to do. Each runs in a bubble, and returns what is
// wrong.
var awaitChecks = map[string]func(t *testing.T, s *memstreamer.StreamConstructor, engine workflow.EventStreamer) error{
	"after the end": func(t *testing.T, _ *memstreamer.StreamConstructor, engine workflow.EventStreamer) error {
		w := start(t, engine, luno.ParkOutbox(memrecordstore.New(), 0), []stepFunc{next, next})
		return awaitAll(t, w, 3, 500*time.Millisecond)
	},
	"before the end": func(t *testing.T, _ *memstreamer.StreamConstructor, engine workflow.EventStreamer) error {
		w := start(t, engine, luno.ParkOutbox(memrecordstore.New(), 0), []stepFunc{next, slowly})
		return awaitAll(t, w, 3, 0)
	},
	"after a status on the way": func(t *testing.T, _ *memstreamer.StreamConstructor, engine workflow.EventStreamer) error {
		w := start(t, engine, luno.ParkOutbox(memrecordstore.New(), 0), []stepFunc{next, slowly})
		return awaitAll(t, w, 2, 500*time.Millisecond)
	},
	"names": func(t *testing.T, s *memstreamer.StreamConstructor, engine workflow.EventStreamer) error {
		w := start(t, engine, luno.ParkOutbox(memrecordstore.New(), 0), []stepFunc{next, next})
		for i := range 100 {
			foreignID := fmt.Sprint("order ", i)
			runID := trigger(t, w, foreignID)
			_, _ = await(t, w, foreignID, runID, 3)
		}
		var names []string
		for _, r := range s.Stats().Receivers {
			names = append(names, fmt.Sprintf("%s %v", r.Name, r.Ephemeral))
		}
		want := []string{
			"orders-1-consumer-1-of-1 false", "orders-2-consumer-1-of-1 false",
			"orders-delete-consumer false", "orders-paused-records-retry-consumer false",
		}
		if slices.Sort(names); !slices.Equal(names, want) {
			return fmt.Errorf("there are %d names, %.200q …, want %q", len(names), fmt.Sprint(names), want)
		}
		return nil
	},
}

// checkAwait runs one of awaitChecks in a bubble.
func checkAwait(t *testing.T, name string, view func(memstreamer.EventStreamer) workflow.EventStreamer) (err error) {
	synctest.Test(t, func(t *testing.T) {
		s := memstreamer.New()
		err = awaitChecks[name](t, s, view(s))
	})
	return err
}

func TestAwait(t *testing.T) {
	for name := range awaitChecks {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, checkAwait(t, name, func(s memstreamer.EventStreamer) workflow.EventStreamer {
				return luno.Streamer(s)
			}))
		})
	}
}

// altered is a streamer whose receivers are opened with other options.
type altered struct {
	memstreamer.EventStreamer
	alter func(name string, o *memstreamer.ReceiverOptions)
}

func (s altered) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	opts = append(opts, func(o *memstreamer.ReceiverOptions) { s.alter(name, o) })
	return s.EventStreamer.NewReceiver(ctx, topic, name, opts...)
}

// TestAwaitUnmended has the checks of Await find what Streamer mends, and what it may
// do wrong.
func TestAwaitUnmended(t *testing.T) {
	as := memstreamer.As[workflow.EventStreamer, workflow.EventSender, workflow.EventReceiver]
	for name, test := range map[string]struct {
		view func(memstreamer.EventStreamer) workflow.EventStreamer
		want []string // the checks that find it
	}{
		"As": {
			func(s memstreamer.EventStreamer) workflow.EventStreamer { return as(s) },
			[]string{"after a status on the way", "after the end", "before the end", "names"},
		},
		"no lookback": {
			func(s memstreamer.EventStreamer) workflow.EventStreamer {
				return luno.Streamer(s, luno.AwaitLookback(0))
			},
			[]string{"after a status on the way", "after the end"},
		},
		"a shared position": {
			func(s memstreamer.EventStreamer) workflow.EventStreamer {
				return luno.Streamer(altered{s, func(_ string, o *memstreamer.ReceiverOptions) { o.Ephemeral = false }})
			},
			[]string{"after a status on the way", "after the end", "before the end", "names"},
		},
		"no position is kept": {
			func(s memstreamer.EventStreamer) workflow.EventStreamer {
				return luno.Streamer(altered{s, func(_ string, o *memstreamer.ReceiverOptions) { o.Ephemeral = true }})
			},
			[]string{"names"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var found []string
			for check := range awaitChecks {
				if err := checkAwait(t, check, test.view); err != nil {
					t.Log(check, err)
					found = append(found, check)
				}
			}
			slices.Sort(found)
			require.Equal(t, test.want, found)
		})
	}
}

func TestAwaitLookback(t *testing.T) {
	for name, test := range map[string]struct {
		opts      []luno.Option
		retention time.Duration
		after     time.Duration // from the end of the run to Await
		found     bool
	}{
		"within the default":   {nil, 0, 59 * time.Second, true},
		"past the default":     {nil, 0, 61 * time.Second, false},
		"within a longer one":  {[]luno.Option{luno.AwaitLookback(time.Hour)}, 0, 59 * time.Minute, true},
		"past a longer one":    {[]luno.Option{luno.AwaitLookback(time.Hour)}, 0, 61 * time.Minute, false},
		"the last one counts":  {[]luno.Option{luno.AwaitLookback(time.Hour), luno.AwaitLookback(time.Second)}, 0, time.Minute, false},
		"none":                 {[]luno.Option{luno.AwaitLookback(0)}, 0, time.Second, false},
		"within the retention": {nil, 30 * time.Second, 29 * time.Second, true},
		"past the retention":   {nil, 30 * time.Second, 31 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstreamer.New(memstreamer.WithRetention(test.retention))
				w := start(t, luno.Streamer(s, test.opts...), luno.ParkOutbox(memrecordstore.New(), 0), []stepFunc{next})
				runID := trigger(t, w, "order")
				time.Sleep(test.after)
				r, err := await(t, w, "order", runID, 2)
				if !test.found {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					return
				}
				require.NoError(t, err)
				require.Equal(t, runID, r.RunID)
				require.Equal(t, &object{Steps: 1}, r.Object)
			})
		})
	}
}

// TestReceivers opens receivers that are not of Await: their options are as they were,
// and their position is kept.
func TestReceivers(t *testing.T) {
	for name, test := range map[string]struct {
		name string
		opts []workflow.ReceiverOption
		want string
	}{
		"a step of a workflow called await": {"await-1-consumer-1-of-1", nil, "old"},
		"another name":                      {"waits", []workflow.ReceiverOption{workflow.StreamFromLatest()}, "new"},
	} {
		t.Run(name, func(t *testing.T) {
			s := memstreamer.New()
			e := luno.Streamer(s)
			sender, err := e.NewSender(t.Context(), "topic")
			require.NoError(t, err)
			require.NoError(t, sender.Send(t.Context(), "old", 1, nil))
			r, err := e.NewReceiver(t.Context(), "topic", test.name, test.opts...)
			require.NoError(t, err)
			require.NoError(t, sender.Send(t.Context(), "new", 1, nil))
			event, ack, err := r.Recv(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.want, event.ForeignID)
			require.NoError(t, ack())
			require.NoError(t, r.Close())
			require.Len(t, s.Stats().Receivers, 1)
			require.Equal(t, event.ID, s.Stats().Receivers[0].AckedID)
		})
	}
}

func TestReceiverRefuses(t *testing.T) {
	_, err := luno.Streamer(memstreamer.New()).NewReceiver(t.Context(), "topic", "await-orders-1-order", workflow.StreamFromLatest(), nil)
	require.EqualError(t, err, "memstreamer: NewReceiver: option 2 of 2 is nil")
}

func TestStreamerRefuses(t *testing.T) {
	var none *memstreamer.StreamConstructor
	for want, refused := range map[string]func(){
		"memstreamer/luno: Streamer: the streamer is nil: make one with memstreamer.New": func() { luno.Streamer(nil) },
		"memstreamer/luno: Streamer: option 2 of 2 is nil": func() {
			luno.Streamer(memstreamer.New(), luno.AwaitLookback(0), nil)
		},
		"memstreamer/luno: Streamer: AwaitLookback(-1s): the duration must not be negative; 0 starts at the latest event": func() {
			luno.Streamer(memstreamer.New(), luno.AwaitLookback(-time.Second))
		},
	} {
		require.PanicsWithValue(t, want, refused)
	}
	require.PanicsWithValue(t, "memstreamer/luno: Streamer: the streamer is nil: make one with memstreamer.New", func() { luno.Streamer(none) })
}

// TestAwaitPassesOver has a receiver of Await pass over the events of other foreign IDs,
// and return those of its own, of one that ends alike, and of none: the engine decides.
func TestAwaitPassesOver(t *testing.T) {
	for _, foreignID := range []string{"order", "An Order, Ärger \xff", ""} {
		s := &awaited{StreamConstructor: memstreamer.New()}
		e := luno.Streamer(s)
		sender, err := e.NewSender(t.Context(), "topic")
		require.NoError(t, err)
		for i, headers := range []map[workflow.Header]string{
			{workflow.HeaderForeignID: "order "},
			{workflow.HeaderForeignID: foreignID},
			{workflow.HeaderForeignID: "-" + foreignID},
			{workflow.HeaderForeignID: foreignID, workflow.HeaderRunState: "3"}, // paused
			nil,
		} {
			require.NoError(t, sender.Send(t.Context(), fmt.Sprint(i), 1, headers))
		}
		w := start(t, e, luno.ParkOutbox(memrecordstore.New(), 0), []stepFunc{next})
		_, err = w.Await(t.Context(), foreignID, "run", 2)
		require.ErrorIs(t, err, errAwaited)
		r, err := e.NewReceiver(t.Context(), "topic", s.name, workflow.StreamFromLatest())
		require.NoError(t, err)
		for _, want := range []string{"1", "2", "4"} {
			event, ack, err := r.Recv(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, event.ForeignID)
			require.NoError(t, ack())
		}
	}
}

// awaited refuses the first receiver of Await, and keeps its name.
type awaited struct {
	*memstreamer.StreamConstructor
	name string
}

var errAwaited = errors.New("an Await")

func (s *awaited) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if strings.HasPrefix(name, "await-") && s.name == "" {
		s.name = name
		return nil, errAwaited
	}
	return s.StreamConstructor.NewReceiver(ctx, topic, name, opts...)
}
