package fulfilment

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// ErrDuplicate is returned by [Engine.Submit] for an order whose ID the store
// knows already.
var ErrDuplicate = errors.New("an order with this id was submitted before")

// The pause before what has failed is tried again. Each failure in a row doubles
// it.
const (
	minPause = 100 * time.Microsecond
	maxPause = time.Second
)

// Engine takes orders through the workflow. Its methods are safe for concurrent
// use.
type Engine struct {
	streamer EventStreamer
	store    Store
	hooks    Hooks
	faults   Faults

	pending *pending
	saved   chan struct{} // holds a token if the outbox may hold something new
	waiting atomic.Int64  // consumers in Recv
}

// Option configures an [Engine].
type Option func(*Engine)

// WithHooks has the engine call hooks.
func WithHooks(hooks Hooks) Option { return func(e *Engine) { e.hooks = hooks } }

// WithFaults has the engine go wrong as faults say.
func WithFaults(faults Faults) Option { return func(e *Engine) { e.faults = faults } }

// New returns an engine on a streamer and a store, which stay the caller's to
// close. It takes over the work of an engine before it that they hold. It fails
// if the store does.
func New(ctx context.Context, streamer EventStreamer, store Store, opts ...Option) (*Engine, error) {
	e := &Engine{streamer: streamer, store: store, pending: newPending(), saved: make(chan struct{}, 1)}
	for _, opt := range opts {
		opt(e)
	}
	records, err := store.Unfinished(ctx)
	if err != nil {
		return nil, fmt.Errorf("fulfilment: list unfinished runs: %w", err)
	}
	for _, record := range records {
		e.pending.add(record.key())
	}
	return e, nil
}

// Run works until ctx is done, and returns when all its goroutines have ended.
// Failures are reported to the hooks and tried again after a pause of up to a
// second. Work that ctx interrupts is not lost: the next Run goes on with it,
// also that of a new engine on the same streamer and store. Only one Run may go
// on at a time.
func (e *Engine) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { e.keepDoing(ctx, Outbox, e.relay) })
	for _, s := range steps {
		running.Go(func() { e.keepDoing(ctx, s.name, e.consume(s)) })
	}
	running.Wait()
}

// Submit accepts an order. Once it has returned nil, the order is in the store
// and will be delivered. It returns the error of [Order.Validate], ErrDuplicate,
// or the error of the store. It does not wait for Run.
func (e *Engine) Submit(ctx context.Context, order Order) error {
	if err := order.Validate(); err != nil {
		return err
	}
	record := Record{RunID: RunID(order.ID), Order: order, Status: Placed, Version: 1}
	err := e.save(ctx, record)
	if err != nil {
		e.pending.undo(record.key())
	}
	if errors.Is(err, ErrConflict) {
		return ErrDuplicate
	}
	return err
}

// Wait returns nil once every order accepted is delivered and all its events are
// acked, or ctx's error if ctx is done before that.
func (e *Engine) Wait(ctx context.Context) error {
	select {
	case <-e.pending.drained():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Waiting returns how many of the engine's consumers are in Recv.
func (e *Engine) Waiting() int { return int(e.waiting.Load()) }

// save stores a record with the event that tells of it, and wakes the relay.
func (e *Engine) save(ctx context.Context, record Record) error {
	e.pending.add(record.key())
	if err := e.store.Save(ctx, record, record.Event()); err != nil {
		return err
	}
	select {
	case e.saved <- struct{}{}:
	default: // the relay has yet to take the last token
	}
	return nil
}

// work goes on until it fails or ctx is done. It calls succeeded whenever it has
// got something done.
type work func(ctx context.Context, succeeded func()) error

// keepDoing does work until ctx is done: whenever it fails or panics, again after
// a pause.
func (e *Engine) keepDoing(ctx context.Context, name string, w work) {
	pause := minPause
	for {
		err := try(ctx, w, func() { pause = minPause })
		if ctx.Err() != nil {
			return
		}
		if e.hooks.Failed != nil {
			e.hooks.Failed(name, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// try does work and makes a panic an error.
func try(ctx context.Context, w work, succeeded func()) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &Crash{reason, debug.Stack()}
		}
	}()
	return w(ctx, succeeded)
}
