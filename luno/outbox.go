package luno

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/luno/workflow"
)

// ParkOutbox returns store with a ListOutboxEvents that returns when there are events
// of that workflow, parked until then. So the engine's outbox consumer sends an event
// as soon as its record is stored, and does nothing in between: its polling frequency
// no longer matters.
//
// A parked ListOutboxEvents looks again after each Store of its workflow, also after
// one that failed. With every > 0 it looks again after that time, too; with 0 it does
// not. Choose 0 if every record is written by the store that ParkOutbox returned, and
// is committed when Store returns. Otherwise, as where other processes write, or where
// Store joins a transaction of the caller's, an event waits for as long as every.
//
// ListOutboxEvents never returns an empty list without an error: the engine would then
// sleep for its polling frequency. It returns ctx's error when ctx is done, and an
// error of store's as it is.
//
// What ParkOutbox returns implements [workflow.TestingRecordStore] if store does. It
// starts no goroutine, and is safe for concurrent use if store is. ParkOutbox panics if
// store is nil or every is negative.
func ParkOutbox(store workflow.RecordStore, every time.Duration) workflow.RecordStore {
	if isNil(store) {
		panic("memstreamer/luno: ParkOutbox: the store is nil")
	}
	if every < 0 {
		panic(fmt.Sprintf("memstreamer/luno: ParkOutbox: every is %v: it must not be negative; 0 looks after each Store alone", every))
	}
	s := &parkedStore{RecordStore: store, every: every, parked: make(map[string][]chan struct{})}
	if testing, ok := store.(workflow.TestingRecordStore); ok {
		return &parkedTestingStore{s, testing}
	}
	return s
}

// parkedStore is a store whose ListOutboxEvents parks.
type parkedStore struct {
	workflow.RecordStore
	every time.Duration

	mu sync.Mutex
	// parked has a channel for each call of ListOutboxEvents under way, by workflow
	// name. It holds a value if there was a Store since the call last looked.
	parked map[string][]chan struct{}
}

// Store implements [workflow.RecordStore].
func (s *parkedStore) Store(ctx context.Context, record *workflow.Record) error {
	// Deferred, because a Store that failed, or panicked, may have stored all the same.
	defer s.wake(record.WorkflowName)
	return s.RecordStore.Store(ctx, record)
}

// ListOutboxEvents implements [workflow.RecordStore].
func (s *parkedStore) ListOutboxEvents(ctx context.Context, workflowName string, limit int64) ([]workflow.OutboxEvent, error) {
	stored := s.enter(workflowName) // before the first look, so that no Store is missed
	defer s.leave(workflowName, stored)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		events, err := s.RecordStore.ListOutboxEvents(ctx, workflowName, limit)
		if err != nil || len(events) > 0 {
			return events, err
		}
		var again <-chan time.Time
		if s.every > 0 {
			again = time.After(s.every)
		}
		select {
		case <-stored:
		case <-again:
		case <-ctx.Done():
		}
	}
}

// enter returns a new channel for wake.
func (s *parkedStore) enter(workflowName string) chan struct{} {
	stored := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked[workflowName] = append(s.parked[workflowName], stored)
	return stored
}

// leave forgets a channel of enter's.
func (s *parkedStore) leave(workflowName string, stored chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.parked[workflowName]
	if len(calls) == 1 {
		delete(s.parked, workflowName)
		return
	}
	i := slices.Index(calls, stored)
	s.parked[workflowName] = slices.Delete(calls, i, i+1)
}

// wake has every call of ListOutboxEvents for that workflow look again.
func (s *parkedStore) wake(workflowName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stored := range s.parked[workflowName] {
		select {
		case stored <- struct{}{}:
		default: // it has yet to look for an earlier Store
		}
	}
}

// parkedTestingStore is a parkedStore on a [workflow.TestingRecordStore].
type parkedTestingStore struct {
	*parkedStore
	testing workflow.TestingRecordStore
}

// Snapshots implements [workflow.TestingRecordStore].
func (s *parkedTestingStore) Snapshots(workflowName, foreignID, runID string) []*workflow.Record {
	return s.testing.Snapshots(workflowName, foreignID, runID)
}
