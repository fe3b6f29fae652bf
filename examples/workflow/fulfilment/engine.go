// Package fulfilment is a small workflow engine for orders, in the shape of the
// engines that memstreamer is made for. It imports no streamer: it declares the
// [EventStreamer] that it needs, in types of its own.
//
// Each status that an order reaches is an event on the topic of that status. Each
// step has a consumer, which receives the events of its topic, does the step, and
// saves the record in its new status, which puts it in the outbox of the [Store]. A
// relay sends the events of the records there, which wakes the next step.
//
// Every part of that is at least once. An event is received again if its consumer
// fails before the ack, and it is sent again if the relay fails before it has left
// the outbox. Both are harmless: a step that finds the record past the event's
// status has been done.
//
// All state is in the store and the streamer. If both outlive the process, a new
// [Engine] goes on where the last one stopped.
package fulfilment

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// ErrDuplicate is returned by [Engine.Submit] for an order whose ID the store has,
// or is about to have.
var ErrDuplicate = errors.New("an order with this id was submitted before")

// Outbox is the name of the relay in [Options].
const Outbox = "outbox"

// The pause before what has failed is tried again. Each failure in a row doubles
// it.
const (
	minPause = 100 * time.Microsecond
	maxPause = time.Second
)

// Options say how an [Engine] works, and whom it tells. The functions may be nil.
// They are called from many goroutines at once, and the engine waits for them.
type Options struct {
	// InProgress is how many orders are in progress at most; 0 is no limit.
	InProgress int
	// Received is called with each event that a consumer receives; redelivered
	// reports whether this engine's consumer had received that one before.
	Received func(consumer string, event *Event, redelivered bool)
	// Failed is called when a consumer, or the relay under the name [Outbox], has
	// failed. It then pauses and tries again.
	Failed func(consumer string, err error)
}

// Engine takes orders through the workflow. Its methods are safe for concurrent
// use.
type Engine struct {
	streamer EventStreamer
	store    Store
	options  Options
	ledger   *ledger
	saved    chan struct{} // holds a token if the outbox may hold something new
	waiting  atomic.Int64  // consumers in Recv
}

// New returns an engine on a streamer and a store, which stay the caller's to
// close. It takes over the work of an engine before it that they hold. It fails
// if the store does.
func New(ctx context.Context, streamer EventStreamer, store Store, options Options) (*Engine, error) {
	records, err := store.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("fulfilment: list the orders: %w", err)
	}
	outbox, err := store.Outbox(ctx, math.MaxInt)
	if err != nil {
		return nil, fmt.Errorf("fulfilment: list the outbox: %w", err)
	}
	return &Engine{
		streamer: streamer,
		store:    store,
		options:  options,
		ledger:   newLedger(records, outbox),
		saved:    make(chan struct{}, 1),
	}, nil
}

// Run works until ctx is done, and returns when all its goroutines have ended.
// Failures are reported and tried again after a pause of up to a second. Work
// that ctx interrupts is not lost: the next Run goes on with it, also that of a
// new engine on the same streamer and store. Only one Run may go on at a time.
func (e *Engine) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { e.keepDoing(ctx, Outbox, e.relay) })
	for s := Placed; s <= Delivered; s++ {
		running.Go(func() { e.keepDoing(ctx, steps[s].name, e.consume(s)) })
	}
	running.Wait()
}

// Submit accepts an order. It waits, until ctx is done, while as many orders are
// in progress as may be, but not for Run. Once it has returned nil, the order is
// in the store and will be delivered. Otherwise the error is that of
// [Order.Validate], ctx's, ErrDuplicate, or the store's.
func (e *Engine) Submit(ctx context.Context, order Order) error {
	if err := order.Validate(); err != nil {
		return err
	}
	if err := e.ledger.begin(ctx, order.ID, e.options.InProgress); err != nil {
		return err
	}
	// The order is accepted in whole or not at all, so ctx is not for this.
	err := e.save(context.WithoutCancel(ctx), Record{Order: order, Status: Placed})
	if err != nil {
		e.ledger.settle(order.ID, from(Placed))
	}
	if errors.Is(err, ErrConflict) {
		return ErrDuplicate
	}
	return err
}

// Wait returns nil once every order accepted is delivered and each of its events
// is acked and has left the outbox, or ctx's error if ctx is done before that.
func (e *Engine) Wait(ctx context.Context) error { return e.ledger.empty(ctx) }

// Waiting returns how many of the engine's consumers are in Recv.
func (e *Engine) Waiting() int { return int(e.waiting.Load()) }

// InProgress returns how many orders Wait would wait for.
func (e *Engine) InProgress() int { return e.ledger.len() }

// save stores a record and its event, and wakes the relay, also after a failure:
// what failed may have been stored all the same.
func (e *Engine) save(ctx context.Context, record Record) error {
	err := e.store.Save(ctx, record)
	select {
	case e.saved <- struct{}{}:
	default: // the relay has yet to take the last token
	}
	return err
}

// work goes on until it fails or ctx is done. It calls succeeded whenever it has
// got something done.
type work func(ctx context.Context, succeeded func()) error

// keepDoing does work until ctx is done: whenever it fails, again after a pause.
func (e *Engine) keepDoing(ctx context.Context, name string, w work) {
	pause := minPause
	for {
		err := w(ctx, func() { pause = minPause })
		if ctx.Err() != nil {
			return
		}
		if e.options.Failed != nil {
			e.options.Failed(name, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, maxPause)
	}
}
