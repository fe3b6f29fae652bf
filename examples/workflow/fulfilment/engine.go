package fulfilment

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrDuplicate is returned by [Engine.Submit] for an order that it, or an engine
// before it on the same store, has accepted already.
var ErrDuplicate = errors.New("an order with this id was submitted before")

// Engine takes orders through the workflow. Its methods are safe for concurrent
// use.
type Engine struct {
	streamer EventStreamer
	store    Store
	hooks    Hooks
	faults   Faults

	pending    *pending
	saved      chan struct{} // holds a token while the outbox may hold something new
	submitting chan struct{} // holds a token while one Submit is at work
	waiting    atomic.Int64  // consumers inside Recv
}

// Option configures an [Engine].
type Option func(*Engine)

// WithHooks has the engine call hooks.
func WithHooks(hooks Hooks) Option {
	return func(e *Engine) { e.hooks = hooks.withDefaults() }
}

// WithFaults has the engine go wrong as faults tell it.
func WithFaults(faults Faults) Option {
	return func(e *Engine) { e.faults = faults.withDefaults() }
}

// New returns an engine on a streamer and a store, which it neither owns nor
// closes. The two may hold the work of an engine before it, which it takes
// over. It does nothing before [Engine.Run]. It fails where the store does.
func New(ctx context.Context, streamer EventStreamer, store Store, opts ...Option) (*Engine, error) {
	e := &Engine{
		streamer:   streamer,
		store:      store,
		hooks:      Hooks{}.withDefaults(),
		faults:     Faults{}.withDefaults(),
		pending:    newPending(),
		saved:      make(chan struct{}, 1),
		submitting: make(chan struct{}, 1),
	}
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

// Run works until ctx is done, and returns once every goroutine that it started
// has ended. What goes wrong meanwhile is reported to the hooks and tried
// again, after a pause that grows up to a second. Work that ctx interrupts is
// not lost: the next Run, of this engine or of a new one on the same streamer
// and store, goes on with it. Only one Run may go on at a time.
func (e *Engine) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()

	r := relay{engine: e, senders: make(map[string]EventSender)}
	running.Go(func() { r.run(ctx) })
	for _, s := range steps {
		c := consumer{engine: e, topic: s.from.Topic(), name: s.name, handle: e.advance(s)}
		running.Go(func() { c.run(ctx) })
	}
	// The last consumer has nothing to do but ack, see acked.
	nothing := func(context.Context, eventKey) error { return nil }
	c := consumer{engine: e, topic: Delivered.Topic(), name: finish, handle: nothing}
	running.Go(func() { c.run(ctx) })
}

// Submit accepts an order: once it has returned nil, the order is in the store
// and will be fulfilled. It fails with what [Order.Validate] finds wrong, with
// ErrDuplicate, with ctx's error, or as the store does. It need not wait for
// Run.
func (e *Engine) Submit(ctx context.Context, order Order) error {
	if err := order.Validate(); err != nil {
		return err
	}
	// Two calls with one order at once would have to agree whose event it is.
	select {
	case e.submitting <- struct{}{}:
		defer func() { <-e.submitting }()
	case <-ctx.Done():
		return ctx.Err()
	}
	record := newRecord(order)
	added := e.pending.add(record.key())
	err := e.save(ctx, record)
	if err != nil && added {
		e.pending.remove(record.key())
	}
	if errors.Is(err, ErrConflict) {
		return ErrDuplicate
	}
	return err
}

// Wait returns nil once every order accepted has been delivered and all its
// events are acked, and ctx's error when ctx is done before that.
func (e *Engine) Wait(ctx context.Context) error {
	select {
	case <-e.pending.drained():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Waiting returns how many of the engine's receivers are in Recv.
func (e *Engine) Waiting() int {
	return int(e.waiting.Load())
}

// advance returns the handler of a step's events.
func (e *Engine) advance(s step) handler {
	return func(ctx context.Context, key eventKey) error {
		record, err := e.store.Load(ctx, key.runID)
		if err != nil {
			return fmt.Errorf("load %s: %w", key.runID, err)
		}
		if record.Version > key.version {
			// Done before: only the ack was lost, or the event was sent twice.
			return nil
		}
		if record.Version < key.version || record.Status != s.from {
			return fmt.Errorf("%s is %s at version %d, and not %s at version %d as its event says",
				record.RunID, record.Status, record.Version, s.from, key.version)
		}
		if err := e.faults.BeforeStep(s.name, record); err != nil {
			return err
		}
		s.do(&record)
		record.Status++
		record.Version++
		record.UpdatedAt = time.Now()
		// Before the save, after which the event may be acked at any time. Where
		// the save fails it stays: the step is tried again until it is saved.
		e.pending.add(record.key())
		if err := e.save(ctx, record); err != nil {
			return fmt.Errorf("save %s: %w", record.RunID, err)
		}
		e.faults.BeforeAck(s.name, record)
		return nil
	}
}

// save stores a record with the event that tells of it, and wakes the relay.
func (e *Engine) save(ctx context.Context, record Record) error {
	if err := e.store.Save(ctx, record, record.event()); err != nil {
		return err
	}
	select {
	case e.saved <- struct{}{}:
	default: // the relay has not looked since the last token
	}
	return nil
}

// acked is told of each event that was acked.
func (e *Engine) acked(event *Event, key eventKey) {
	if Status(event.Type) == Delivered && e.pending.has(key) {
		e.hooks.Finished(event.ForeignID)
	}
	e.pending.remove(key)
}
