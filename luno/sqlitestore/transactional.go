package sqlitestore

import (
	"context"
	"runtime"
	"time"
	"weak"

	"github.com/luno/workflow"

	"github.com/memstreamer/memstreamer/sqlite"
)

// Stage has f run in the transaction in which the engine stores the outcome of the step
// that is under way. Functions run in the order in which they were staged, after the
// record is written. If one fails, nothing is stored, and the engine runs the step again.
//
// f runs as a function of [sqlite.Streamer.InTx] does: it may be called again if its
// transaction fails, so that it should have no effect but by tx. Stage is for the step's
// own goroutine, until the step returns.
type Stage func(f func(tx *sqlite.Tx) error)

// Transactional returns a step for AddStep that may stage writes: they happen exactly
// once for each outcome that is stored, however often the step runs. What was staged by
// an attempt that failed, was skipped, or whose run was paused or cancelled instead, never
// runs.
//
// The workflow has to be built with store, or with one that hands each record on to store
// as the engine has made it. Transactional panics if store or step is nil, and if store
// has no streamer, and so no such transaction.
func Transactional[T any, S workflow.StatusType](store *Store, step func(ctx context.Context, r *workflow.Run[T, S], stage Stage) (S, error)) workflow.ConsumerFunc[T, S] {
	switch {
	case store == nil:
		panic("memstreamer/luno/sqlitestore: Transactional: the store is nil: make one with New")
	case store.streamer == nil:
		panic("memstreamer/luno/sqlitestore: Transactional: the store has no streamer, and so no transaction with the events: give New a streamer on its database")
	case step == nil:
		panic("memstreamer/luno/sqlitestore: Transactional: the step is nil")
	}
	return func(ctx context.Context, r *workflow.Run[T, S]) (S, error) {
		r.CreatedAt = r.CreatedAt.Local() // without the mark of a call before, of a step that calls twice
		var staged []func(*sqlite.Tx) error
		next, err := step(ctx, r, func(f func(*sqlite.Tx) error) {
			if f == nil {
				panic("memstreamer/luno/sqlitestore: Stage: the function is nil")
			}
			staged = append(staged, f)
		})
		if err == nil && len(staged) > 0 {
			r.CreatedAt = store.mark(r.CreatedAt, staged)
		}
		return next, err
	}
}

// mark returns t in a location of its own, by which stagedFor finds what an attempt has
// staged. The engine makes the record that it stores of the run that the step got,
// CreatedAt with its location included, so that the record of no other attempt has it.
// An attempt that is not stored leaves nothing: its location is collected as garbage.
func (s *Store) mark(t time.Time, staged []func(*sqlite.Tx) error) time.Time {
	location := new(time.Location)
	key := weak.Make(location)
	s.mu.Lock()
	s.staged[key] = staged
	s.mu.Unlock()
	runtime.AddCleanup(location, s.unstage, key)
	return t.In(location)
}

// stagedFor returns what the attempt has staged of which record is the outcome.
func (s *Store) stagedFor(record *workflow.Record) []func(*sqlite.Tx) error {
	key := weak.Make(record.CreatedAt.Location())
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.staged[key]
}

func (s *Store) unstage(key weak.Pointer[time.Location]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.staged, key)
}
