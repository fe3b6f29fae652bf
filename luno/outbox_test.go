package luno_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	theirs "github.com/luno/workflow/adapters/memstreamer"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/luno"
)

// watchedStore is a record store that counts what is asked of it, and fails when told.
type watchedStore struct {
	workflow.RecordStore
	afterLook func() // called by each ListOutboxEvents before it returns

	mu        sync.Mutex
	looks     map[string]int // by workflow
	storeErr  error          // returned by Store
	storeNone bool           // Store stores nothing
	listErr   error          // returned by ListOutboxEvents
}

func newWatchedStore() *watchedStore {
	return &watchedStore{RecordStore: memrecordstore.New(), afterLook: func() {}, looks: make(map[string]int)}
}

func (s *watchedStore) Store(ctx context.Context, record *workflow.Record) error {
	s.mu.Lock()
	err, none := s.storeErr, s.storeNone
	s.mu.Unlock()
	if none {
		return err
	}
	return errors.Join(s.RecordStore.Store(ctx, record), err)
}

func (s *watchedStore) ListOutboxEvents(ctx context.Context, workflowName string, limit int64) ([]workflow.OutboxEvent, error) {
	events, err := s.RecordStore.ListOutboxEvents(ctx, workflowName, limit)
	s.mu.Lock()
	s.looks[workflowName]++
	if s.listErr != nil {
		events, err = nil, s.listErr
	}
	s.mu.Unlock()
	s.afterLook()
	return events, err
}

func (s *watchedStore) looksAt(workflowName string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks[workflowName]
}

func (s *watchedStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// listing is a call of ListOutboxEvents in a goroutine of its own.
type listing struct {
	done   chan struct{}
	events []workflow.OutboxEvent
	err    error
}

func list(ctx context.Context, store workflow.RecordStore, workflowName string) *listing {
	l := &listing{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.events, l.err = store.ListOutboxEvents(ctx, workflowName, 100)
	}()
	synctest.Wait()
	return l
}

// parks returns an error unless the call is parked.
func (l *listing) parks() error {
	synctest.Wait()
	select {
	case <-l.done:
		return fmt.Errorf("returned %d events and the error %v, where it should park", len(l.events), l.err)
	default:
		return nil
	}
}

// has returns an error unless the call has returned n events.
func (l *listing) has(n int) error {
	synctest.Wait()
	select {
	case <-l.done:
	default:
		return fmt.Errorf("parks, where there are %d events", n)
	}
	if l.err != nil || len(l.events) != n {
		return fmt.Errorf("returned %d events and the error %v, where there are %d", len(l.events), l.err, n)
	}
	return nil
}

// failed returns an error unless the call has returned want alone.
func (l *listing) failed(want error) error {
	synctest.Wait()
	select {
	case <-l.done:
	default:
		return fmt.Errorf("parks, where it should return the error %v", want)
	}
	if l.err != want || l.events != nil {
		return fmt.Errorf("returned %d events and the error %v, want the error %v", len(l.events), l.err, want)
	}
	return nil
}

func record(workflowName string) *workflow.Record {
	return &workflow.Record{WorkflowName: workflowName, ForeignID: "foreign", RunID: workflowName + " run", Status: 1}
}

// outboxCheck is something that a store of ParkOutbox's has to do. It runs in a bubble,
// and returns what is wrong.
type outboxCheck func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error

// anotherProcess is the check whose store has an every, which is checkedEvery.
const (
	anotherProcess = "another process stores"
	checkedEvery   = time.Minute
)

var outboxChecks = map[string]outboxCheck{
	"a Store while it parks": func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		l := list(ctx, store, "w")
		return errors.Join(l.parks(), store.Store(ctx, record("w")), l.has(1))
	},
	"a Store between the look and the wait": func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		var once sync.Once
		var err error
		under.afterLook = func() {
			once.Do(func() { err = store.Store(ctx, record("w")) })
		}
		l := list(ctx, store, "w")
		return errors.Join(err, l.has(1))
	},
	"a Store of another workflow": func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		w, other := list(ctx, store, "w"), list(ctx, store, "other")
		if err := errors.Join(store.Store(ctx, record("other")), other.has(1), w.parks()); err != nil {
			return err
		}
		if n := under.looksAt("w"); n != 1 {
			return fmt.Errorf("looked %d times for w, where only another workflow has stored", n)
		}
		return errors.Join(store.Store(ctx, record("w")), w.has(1))
	},
	"several calls for one workflow": func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		gone, leave := context.WithCancel(ctx)
		calls := []*listing{list(ctx, store, "w"), list(gone, store, "w"), list(ctx, store, "w")}
		leave()
		err := errors.Join(calls[1].failed(context.Canceled), calls[0].parks(), calls[2].parks())
		return errors.Join(err, store.Store(ctx, record("w")), calls[0].has(1), calls[2].has(1))
	},
	"a Store that failed after it had stored": func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		l := list(ctx, store, "w")
		lost := errors.New("the connection was lost")
		under.set(func() { under.storeErr = lost })
		if err := store.Store(ctx, record("w")); !errors.Is(err, lost) {
			return fmt.Errorf("Store returned %v, want %v", err, lost)
		}
		return l.has(1)
	},
	"a Store that stored nothing": func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		l := list(ctx, store, "w")
		under.set(func() { under.storeNone = true })
		err := errors.Join(store.Store(ctx, record("w")), l.parks())
		under.set(func() { under.storeNone = false })
		return errors.Join(err, store.Store(ctx, record("w")), l.has(1))
	},
	"a context that ends": func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		ending, end := context.WithCancel(ctx)
		l := list(ending, store, "w")
		err := l.parks()
		end()
		expiring, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		late := list(expiring, store, "w")
		time.Sleep(time.Second)
		return errors.Join(err, l.failed(context.Canceled), late.failed(context.DeadlineExceeded))
	},
	"a context that is done": func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		err := store.Store(ctx, record("w"))
		done, cancel := context.WithCancel(ctx)
		cancel()
		return errors.Join(err, list(done, store, "w").failed(context.Canceled))
	},
	"an error of the store": func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		down := errors.New("the database is down")
		l := list(ctx, store, "w")
		under.set(func() { under.listErr, under.storeNone = down, true })
		return errors.Join(list(ctx, store, "w").failed(down), store.Store(ctx, record("w")), l.failed(down))
	},
	anotherProcess: func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		l := list(ctx, store, "w")
		err := under.Store(ctx, record("w"))
		time.Sleep(checkedEvery - time.Nanosecond)
		err = errors.Join(err, l.parks())
		time.Sleep(time.Nanosecond)
		return errors.Join(err, l.has(1))
	},
	"nobody stores": func(ctx context.Context, under *watchedStore, store workflow.RecordStore) error {
		l := list(ctx, store, "w")
		time.Sleep(24 * time.Hour)
		if n := under.looksAt("w"); n != 1 {
			return fmt.Errorf("looked %d times in a day without a Store, want once", n)
		}
		return l.parks()
	},
}

// check runs one of outboxChecks on the store that open returns, in a bubble, and ends
// the calls that it leaves parked.
func check(t *testing.T, name string, open func(workflow.RecordStore, time.Duration) workflow.RecordStore) (err error) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		every := time.Duration(0)
		if name == anotherProcess {
			every = checkedEvery
		}
		under := newWatchedStore()
		store := open(under, every)
		err = outboxChecks[name](ctx, under, store)
		cancel()
		synctest.Wait()
		// A faulty store may ignore ctx.
		under.set(func() { under.listErr, under.storeErr = errors.New("the check is over"), nil })
		for _, workflowName := range []string{"w", "other", "w"} {
			require.NoError(t, store.Store(t.Context(), record(workflowName)))
			synctest.Wait()
		}
		if _, ok := store.(*faultyStore); !ok {
			require.Zero(t, luno.Parked(store))
		}
	})
	return err
}

func TestParkOutbox(t *testing.T) {
	for name := range outboxChecks {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, check(t, name, luno.ParkOutbox))
		})
	}
}

// faultyStore is what ParkOutbox returns, done wrong in one way.
type faultyStore struct {
	workflow.RecordStore
	every time.Duration
	fault string

	mu     sync.Mutex
	parked map[chan struct{}]string // calls, and their workflows
}

const (
	waitsTooLate     = "waits for the Stores after its look"
	wakesAll         = "wakes every workflow"
	wakesOne         = "wakes one call"
	wakesOnSuccess   = "wakes after a Store that succeeded"
	returnsNone      = "returns an empty list"
	ignoresCtx       = "ignores its context"
	ignoresDone      = "looks before it asks its context"
	hidesErrors      = "waits after an error"
	looksAtStoreOnly = "ignores every"
	polls            = "polls"
)

func (s *faultyStore) Store(ctx context.Context, record *workflow.Record) error {
	err := s.RecordStore.Store(ctx, record)
	if err != nil && s.fault == wakesOnSuccess {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for stored, workflowName := range s.parked {
		if workflowName != record.WorkflowName && s.fault != wakesAll {
			continue
		}
		select {
		case stored <- struct{}{}:
		default:
		}
		if s.fault == wakesOne {
			break
		}
	}
	return err
}

func (s *faultyStore) ListOutboxEvents(ctx context.Context, workflowName string, limit int64) ([]workflow.OutboxEvent, error) {
	stored := make(chan struct{}, 1)
	enter := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.parked[stored] = workflowName
	}
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.parked, stored)
	}
	defer leave()
	for {
		if s.fault != waitsTooLate {
			enter()
		}
		if s.fault != ignoresDone && s.fault != ignoresCtx && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		events, err := s.RecordStore.ListOutboxEvents(ctx, workflowName, limit)
		if err != nil && s.fault != hidesErrors || len(events) > 0 {
			return events, err
		}
		enter()
		var again <-chan time.Time
		switch {
		case s.every > 0 && s.fault != looksAtStoreOnly:
			again = time.After(s.every)
		case s.fault == polls:
			again = time.After(time.Second)
		}
		done := ctx.Done()
		if s.fault == ignoresCtx {
			done = nil
		}
		select {
		case <-stored:
		case <-again:
		case <-done:
			return nil, ctx.Err()
		}
		if s.fault == returnsNone {
			return s.RecordStore.ListOutboxEvents(ctx, workflowName, limit)
		}
		if s.fault == waitsTooLate {
			leave()
		}
	}
}

// TestFaultyOutboxes has the checks of ParkOutbox find what is wrong with each.
func TestFaultyOutboxes(t *testing.T) {
	for fault, want := range map[string][]string{
		"":               nil, // none: what is found is the fault
		waitsTooLate:     {"a Store between the look and the wait"},
		wakesAll:         {"a Store of another workflow"},
		wakesOne:         {"several calls for one workflow"},
		wakesOnSuccess:   {"a Store that failed after it had stored"},
		returnsNone:      {"a Store that stored nothing"},
		ignoresCtx:       {"a context that ends", "a context that is done", "several calls for one workflow"},
		ignoresDone:      {"a context that is done"},
		hidesErrors:      {"an error of the store"},
		looksAtStoreOnly: {anotherProcess},
		polls:            {"nobody stores"},
	} {
		t.Run(fault, func(t *testing.T) {
			var found []string
			for name := range outboxChecks {
				err := check(t, name, func(under workflow.RecordStore, every time.Duration) workflow.RecordStore {
					return &faultyStore{RecordStore: under, every: every, fault: fault, parked: make(map[chan struct{}]string)}
				})
				if err != nil {
					found = append(found, name)
				}
			}
			slices.Sort(found)
			require.Equal(t, want, found)
		})
	}
}

// TestOutboxStress stores, lists and deletes at once: in the end each workflow has
// seen every event, and nobody waits for one that is there.
func TestOutboxStress(t *testing.T) {
	const workflows, writers, each = 3, 4, 100
	synctest.Test(t, func(t *testing.T) {
		store := luno.ParkOutbox(memrecordstore.New(), 0)
		var all sync.WaitGroup
		for w := range workflows {
			name := strconv.Itoa(w)
			for range writers {
				all.Go(func() {
					for range each {
						if err := store.Store(t.Context(), record(name)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Go(func() {
				for seen := 0; seen < writers*each; {
					events, err := store.ListOutboxEvents(t.Context(), name, 7)
					if err != nil || len(events) == 0 {
						t.Errorf("%d events, error %v", len(events), err)
						return
					}
					for _, event := range events {
						if err := store.DeleteOutboxEvent(t.Context(), event.ID); err != nil {
							t.Error(err)
						}
					}
					seen += len(events)
				}
			})
		}
		all.Wait()
		require.Zero(t, luno.Parked(store))
	})
}

func TestParkOutboxKeepsSnapshots(t *testing.T) {
	under := memrecordstore.New()
	testing, ok := luno.ParkOutbox(under, 0).(workflow.TestingRecordStore)
	require.True(t, ok)
	require.NoError(t, testing.Store(t.Context(), record("w")))
	require.Len(t, testing.Snapshots("w", "foreign", "w run"), 1)

	_, ok = luno.ParkOutbox(newWatchedStore(), 0).(workflow.TestingRecordStore)
	require.False(t, ok)
}

func TestParkOutboxRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		store workflow.RecordStore
		every time.Duration
		want  string
	}{
		"nil":       {nil, 0, "memstreamer/luno: ParkOutbox: the store is nil"},
		"nil Store": {(*memrecordstore.Store)(nil), 0, "memstreamer/luno: ParkOutbox: the store is nil"},
		"negative":  {memrecordstore.New(), -time.Second, "memstreamer/luno: ParkOutbox: every is -1s: it must not be negative; 0 looks after each Store alone"},
	} {
		t.Run(name, func(t *testing.T) {
			require.PanicsWithValue(t, test.want, func() { luno.ParkOutbox(test.store, test.every) })
		})
	}
}

// TestParkOutboxOnTheEngine has the engine run without its poll: a run of five steps
// takes no time by the bubble's clock, with any streamer. What was stored while the
// engine was stopped is sent when it is back.
func TestParkOutboxOnTheEngine(t *testing.T) {
	steps := []stepFunc{next, next, next, next, next}
	for name, open := range map[string]func() workflow.EventStreamer{
		"luno.Streamer":        func() workflow.EventStreamer { return luno.Streamer(memstreamer.New()) },
		"the engine's adapter": func() workflow.EventStreamer { return theirs.New() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				streamer, records := open(), memrecordstore.New()
				// is requires the status of the run once nothing happens without time.
				is := func(want status, runID string) {
					synctest.Wait()
					r, err := records.Lookup(t.Context(), runID)
					require.NoError(t, err)
					require.Equal(t, int(want), r.Status)
				}
				w := start(t, streamer, luno.ParkOutbox(records, 0), steps)
				is(6, trigger(t, w, "order"))
				w.Stop()
				runID := trigger(t, w, "order")
				is(1, runID)
				w = start(t, streamer, luno.ParkOutbox(records, 0), steps)
				is(6, runID)
				w.Stop()

				w = start(t, streamer, records, steps)
				synctest.Wait() // it has looked for an event
				runID = trigger(t, w, "order")
				time.Sleep(249 * time.Millisecond)
				is(1, runID)
				time.Sleep(10 * time.Second)
				is(6, runID)
			})
		})
	}
}
