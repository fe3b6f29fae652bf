package sqlitestore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/luno"
	"github.com/memstreamer/memstreamer/luno/sqlitestore"
	"github.com/memstreamer/memstreamer/sqlite"
)

// status is that of the workflows of these tests, whose steps begin with 1.
type status int

func (s status) String() string { return fmt.Sprint("status ", int(s)) }

// object is what the workflows of these tests carry.
type object struct{ Steps int }

type (
	run       = workflow.Run[object, status]
	stageFunc = func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error)
)

// parts are a store with a streamer, and the table that steps write to.
type parts struct {
	db       *sql.DB
	streamer *sqlite.Streamer
	store    *sqlitestore.Store
}

func open(t testing.TB, pool int) *parts {
	p := &parts{db: tempDB(t, pool)}
	p.streamer, p.store = withStreamer(t, p.db)
	_, err := p.db.Exec(`CREATE TABLE written (what TEXT)`)
	require.NoError(t, err)
	return p
}

// write returns a function that writes a row.
func write(what string) func(*sqlite.Tx) error {
	return func(tx *sqlite.Tx) error {
		_, err := tx.ExecContext(context.Background(), `INSERT INTO written VALUES (?)`, what)
		return err
	}
}

// written returns what was written, in order.
func (p *parts) written(t *testing.T) string {
	var all sql.NullString
	require.NoError(t, p.db.QueryRow(`SELECT group_concat(what, ', ') FROM (SELECT what FROM written ORDER BY rowid)`).Scan(&all))
	return all.String
}

// start runs a workflow of these steps until the test ends, with the engine's outbox
// consumer, which has nothing to do.
func (p *parts) start(t *testing.T, build func(*workflow.Builder[object, status]), steps ...stageFunc) *workflow.Workflow[object, status] {
	b := workflow.NewBuilder[object, status]("orders")
	for i, step := range steps {
		from := status(i + 1)
		b.AddStep(from, sqlitestore.Transactional(p.store, step), from+1)
	}
	if build != nil {
		build(b)
	}
	w := b.Build(luno.Streamer(p.streamer), p.store, memrolescheduler.New(), workflow.WithTimeoutStore(p.store.Timeouts()), workflow.WithLogger(silent{}),
		workflow.WithDefaultOptions(workflow.ErrBackOff(time.Millisecond), workflow.PollingFrequency(5*time.Millisecond)))
	w.Run(t.Context())
	t.Cleanup(w.Stop)
	return w
}

type silent struct{}

func (silent) Debug(context.Context, string, map[string]string) {}
func (silent) Error(context.Context, error)                     {}

func trigger(t *testing.T, w *workflow.Workflow[object, status]) (runID string) {
	runID, err := w.Trigger(t.Context(), "order")
	require.NoError(t, err)
	return runID
}

// await waits until a run is in a state.
func (p *parts) await(t *testing.T, runID string, state workflow.RunState) *workflow.Record {
	t.Helper()
	var r *workflow.Record
	require.Eventually(t, func() (ok bool) {
		var err error
		r, err = p.store.Lookup(t.Context(), runID)
		return err == nil && r.RunState == state
	}, 20*time.Second, time.Millisecond)
	return r
}

// settled has nothing of the attempts of a store that has ended be staged.
func (p *parts) settled(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		runtime.GC()
		return sqlitestore.Staged(p.store) == 0
	}, 20*time.Second, time.Millisecond)
}

var errStep = errors.New("the step fails")

// TestTransactional has a step fail in every way, and then be repeated.
func TestTransactional(t *testing.T) {
	for _, pool := range []int{1, 4} {
		t.Run(fmt.Sprint("pool of ", pool), func(t *testing.T) {
			p := open(t, pool)
			attempts, repeats := 0, 0
			w := p.start(t, nil, func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
				attempts++
				stage(write(fmt.Sprint("attempt ", attempts)))
				switch attempts {
				case 1:
					return 0, errStep
				case 2:
					stage(func(*sqlite.Tx) error { return errors.New("a staged function fails") })
				case 3:
					stage(func(tx *sqlite.Tx) error {
						_, err := tx.ExecContext(ctx, `INSERT INTO written (nothing) VALUES (1)`)
						return err
					})
				case 4:
					return 7, nil // which is no transition
				}
				return 2, nil
			}, func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
				if repeats == 2 {
					return 3, nil // and stages nothing
				}
				repeats++
				stage(write("first"))
				stage(write("second"))
				r.Object.Steps++
				return r.SaveAndRepeat()
			})
			r := p.await(t, trigger(t, w), workflow.RunStateCompleted)
			require.Equal(t, 5, attempts)
			require.Equal(t, "attempt 5, first, second, first, second", p.written(t))
			require.JSONEq(t, `{"Steps": 2}`, string(r.Object))
			require.Equal(t, uint(5), r.Meta.Version)
			p.settled(t)
		})
	}
}

// TestTransactionalInstead has the outcome be another than that of the step.
func TestTransactionalInstead(t *testing.T) {
	for name, test := range map[string]struct {
		step  stageFunc
		state workflow.RunState
	}{
		"skip": {func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
			stage(write("skipped"))
			return r.Skip()
		}, workflow.RunStateInitiated},
		"pause": {func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
			stage(write("paused"))
			return r.Pause(ctx, "wait")
		}, workflow.RunStatePaused},
		"pause, and go on all the same": {func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
			stage(write("paused"))
			_, err := r.Pause(ctx, "wait")
			return 2, err
		}, workflow.RunStatePaused},
		"cancel": {func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
			stage(write("cancelled"))
			return r.Cancel(ctx, "no")
		}, workflow.RunStateCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, 1)
			ended := make(chan struct{}, 100)
			w := p.start(t, nil, func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
				if r.ForeignID == "last" {
					return 2, nil
				}
				defer func() { ended <- struct{}{} }()
				return test.step(ctx, r, stage)
			})
			runID := trigger(t, w)
			<-ended
			last, err := w.Trigger(t.Context(), "last")
			require.NoError(t, err)
			p.await(t, last, workflow.RunStateCompleted)
			p.await(t, runID, test.state)
			require.Empty(t, p.written(t))
			p.settled(t)
		})
	}
}

// TestTransactionalLoses has others store an outcome while a step runs: a controller that
// cancels its run, and a callback that has it go on. Neither is taken for the step's.
func TestTransactionalLoses(t *testing.T) {
	for name, instead := range map[string]func(t *testing.T, p *parts, w *workflow.Workflow[object, status], runID string){
		"cancel": func(t *testing.T, p *parts, w *workflow.Workflow[object, status], runID string) {
			r, err := p.store.Lookup(t.Context(), runID)
			require.NoError(t, err)
			r.RunState = workflow.RunStateRunning
			require.NoError(t, workflow.NewRunStateController(p.store.Store, r).Cancel(t.Context(), "no"))
		},
		"callback": func(t *testing.T, p *parts, w *workflow.Workflow[object, status], runID string) {
			require.NoError(t, w.Callback(t.Context(), "order", 1, strings.NewReader("")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, 4)
			begun, goOn := make(chan struct{}, 100), make(chan struct{})
			w := p.start(t, func(b *workflow.Builder[object, status]) {
				b.AddCallback(1, func(context.Context, *run, io.Reader) (status, error) { return 2, nil }, 2)
			}, func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
				stage(write("lost"))
				begun <- struct{}{}
				<-goOn
				return 2, nil
			})
			runID := trigger(t, w)
			<-begun
			instead(t, p, w, runID)
			close(goOn)
			version := uint(2)
			require.Eventually(t, func() bool { return lag(p.streamer) == 0 }, 20*time.Second, time.Millisecond)
			r, err := p.store.Lookup(t.Context(), runID)
			require.NoError(t, err)
			require.Equal(t, version, r.Meta.Version)
			require.Empty(t, p.written(t))
			p.settled(t)
		})
	}
}

// lag returns how many events consumers of steps have to ack.
func lag(s *sqlite.Streamer) (lag int64) {
	for _, r := range s.Stats().Receivers {
		if !strings.Contains(r.Name, "paused") {
			lag += int64(r.Lag)
		}
	}
	return lag
}

// TestMark tells two attempts of one step apart that run at once, without an engine.
func TestMark(t *testing.T) {
	p := open(t, 4)
	require.NoError(t, p.store.Store(t.Context(), record("run", 1)))
	attempt := func(what string) *workflow.Record {
		r, err := p.store.Lookup(t.Context(), "run")
		require.NoError(t, err)
		ofStep := &run{TypedRecord: workflow.TypedRecord[object, status]{Record: *r}}
		_, err = sqlitestore.Transactional(p.store, func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
			stage(write(what))
			return 2, nil
		})(t.Context(), ofStep)
		require.NoError(t, err)
		ofStep.Meta.Version++
		return &ofStep.Record
	}
	first, second := attempt("first"), attempt("second")
	require.NoError(t, p.store.Store(t.Context(), second))
	require.Error(t, p.store.Store(t.Context(), first))
	require.NoError(t, p.store.Store(t.Context(), record("run", 3)))
	require.Equal(t, "second", p.written(t))
	require.Equal(t, 2, sqlitestore.Staged(p.store))
	runtime.KeepAlive(first)
	runtime.KeepAlive(second)
	p.settled(t)
}

// TestMarkOfACallBefore has a step that calls another twice, of which the last stages
// nothing: only what the last has staged is written.
func TestMarkOfACallBefore(t *testing.T) {
	p := open(t, 1)
	require.NoError(t, p.store.Store(t.Context(), record("run", 1)))
	r := &run{TypedRecord: workflow.TypedRecord[object, status]{Record: *record("run", 2)}}
	calls := 0
	step := sqlitestore.Transactional(p.store, func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
		if calls++; calls == 1 {
			stage(write("first"))
		}
		return 2, nil
	})
	for range 2 {
		_, err := step(t.Context(), r)
		require.NoError(t, err)
	}
	require.NoError(t, p.store.Store(t.Context(), &r.Record))
	require.Empty(t, p.written(t))
}

// TestStagedRun has a staged function keep the run, which keeps the mark. The engine
// clears the run after the step, so that nothing stays.
func TestStagedRun(t *testing.T) {
	p := open(t, 1)
	w := p.start(t, nil, func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
		stage(func(tx *sqlite.Tx) error { return write(r.ForeignID)(tx) })
		return 2, nil
	})
	p.await(t, trigger(t, w), workflow.RunStateCompleted)
	require.Equal(t, "order", p.written(t))
	p.settled(t)
}

func TestPanics(t *testing.T) {
	p := open(t, 1)
	step := func(ctx context.Context, r *run, stage sqlitestore.Stage) (status, error) {
		stage(nil)
		return 2, nil
	}
	assert.PanicsWithValue(t, "memstreamer/luno/sqlitestore: Transactional: the store is nil: make one with New",
		func() { sqlitestore.Transactional(nil, step) })
	assert.PanicsWithValue(t, "memstreamer/luno/sqlitestore: Transactional: the step is nil",
		func() { sqlitestore.Transactional[object, status](p.store, nil) })
	assert.PanicsWithValue(t, "memstreamer/luno/sqlitestore: Transactional: the store has no streamer, and so no transaction with the events: give New a streamer on its database",
		func() { sqlitestore.Transactional(withOutbox(t, tempDB(t, 1)), step) })
	assert.PanicsWithValue(t, "memstreamer/luno/sqlitestore: WithTx: the Tx is nil",
		func() { sqlitestore.WithTx(t.Context(), nil) })
	assert.PanicsWithValue(t, "memstreamer/luno/sqlitestore: Stage: the function is nil",
		func() { _, _ = sqlitestore.Transactional(p.store, step)(t.Context(), &run{}) })
}

// TestWithTx triggers a run in the transaction of an order, which fails at first, and
// reads what is written there.
func TestWithTx(t *testing.T) {
	for _, pool := range []int{1, 4} {
		t.Run(fmt.Sprint("pool of ", pool), func(t *testing.T) {
			p := open(t, pool)
			w := p.start(t, nil, func(context.Context, *run, sqlitestore.Stage) (status, error) { return 2, nil })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			boom := errors.New("boom")
			for _, outcome := range []error{boom, nil} {
				var runID string
				err := p.streamer.InTx(ctx, func(tx *sqlite.Tx) (err error) {
					ctx := sqlitestore.WithTx(ctx, tx)
					if err := write("order")(tx); err != nil {
						return err
					}
					if runID, err = w.Trigger(ctx, "order"); err != nil {
						return err
					}
					_, err = w.Trigger(ctx, "order")
					assert.ErrorIs(t, err, workflow.ErrWorkflowInProgress)
					list, err := p.store.List(ctx, "orders", 0, 0, workflow.OrderTypeAscending)
					assert.NoError(t, err)
					assert.Len(t, list, 1)
					assert.NoError(t, p.store.Timeouts().Create(ctx, "orders", "order", runID, 1, time.Now()))
					timeouts, err := p.store.Timeouts().List(ctx, "orders")
					assert.NoError(t, err)
					assert.Len(t, timeouts, 1)
					return outcome
				})
				require.Equal(t, outcome, err)
				if err == nil {
					p.await(t, runID, workflow.RunStateCompleted)
				}
			}
			require.Equal(t, "order", p.written(t))
			list, err := p.store.List(ctx, "orders", 0, 0, workflow.OrderTypeAscending)
			require.NoError(t, err)
			require.Len(t, list, 1)
			timeouts, err := p.store.Timeouts().List(ctx, "orders")
			require.NoError(t, err)
			require.Len(t, timeouts, 1)
		})
	}
}

// TestWithTxOfAnother has a store, with a streamer and with none, called in a transaction
// of another streamer.
func TestWithTxOfAnother(t *testing.T) {
	_, own := withStreamer(t, tempDB(t, 1))
	other, theirs := withStreamer(t, tempDB(t, 1))
	const refused = "the Tx of WithTx is of another streamer"
	for _, s := range []*sqlitestore.Store{own, withOutbox(t, tempDB(t, 1)), withOutbox(t, other.DB())} {
		require.NoError(t, other.InTx(t.Context(), func(tx *sqlite.Tx) error {
			ctx := sqlitestore.WithTx(t.Context(), tx)
			assert.ErrorContains(t, s.Store(ctx, record("run", 1)), refused)
			_, err := s.Lookup(ctx, "run")
			assert.ErrorContains(t, err, refused)
			_, err = s.List(ctx, "orders", 0, 0, workflow.OrderTypeAscending)
			assert.ErrorContains(t, err, refused)
			return nil
		}))
	}
	_, err := theirs.Lookup(t.Context(), "run")
	require.ErrorIs(t, err, workflow.ErrRecordNotFound)
}
