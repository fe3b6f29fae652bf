package fulfilment_test

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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTest = errors.New("made up by the test")

// consumers is how many an engine has: one for each status.
const consumers = int(fulfilment.Delivered)

func newStreamer() fulfilment.EventStreamer {
	return memstreamer.As[fulfilment.EventStreamer](memstreamer.New())
}

func order(id string) fulfilment.Order {
	return fulfilment.Order{ID: id, Item: "kettle", Quantity: 7, PriceCents: 250}
}

// engine is an engine on a store and a streamer that are watched, and what it
// tells of through its hooks.
type engine struct {
	*fulfilment.Engine
	t     *testing.T
	store fulfilment.Store

	mu                              sync.Mutex
	received                        []string // consumers
	events                          []fulfilment.Event
	redelivered, finished, failures int
	failed                          map[string]int // by consumer
	lastErr                         error
}

func newEngine(t *testing.T, streamer fulfilment.EventStreamer, store fulfilment.Store, w watch) *engine {
	t.Helper()
	if w == nil {
		w = func(string) error { return nil }
	}
	e := &engine{t: t, store: store, failed: make(map[string]int)}
	lock := func() func() {
		e.mu.Lock()
		return e.mu.Unlock
	}
	var err error
	e.Engine, err = fulfilment.New(t.Context(), watchedStreamer{streamer, w}, watchedStore{store, w},
		fulfilment.WithFaults(watchedFaults(w)),
		fulfilment.WithHooks(fulfilment.Hooks{
			Received: func(consumer string, event *fulfilment.Event, redelivered bool) {
				defer lock()()
				e.received = append(e.received, consumer)
				e.events = append(e.events, *event)
				if redelivered {
					e.redelivered++
				}
			},
			Failed: func(consumer string, err error) {
				defer lock()()
				e.failures++
				e.failed[consumer]++
				e.lastErr = err
			},
			Finished: func(string) {
				defer lock()()
				e.finished++
			},
		}))
	require.NoError(t, err)
	return e
}

// run runs the engine until the function that it returns is called, which waits
// for its end, or until the test ends.
func (e *engine) run() (stop func()) {
	ctx, cancel := context.WithCancel(e.t.Context())
	var running sync.WaitGroup
	running.Go(func() { e.Run(ctx) })
	stop = func() {
		cancel()
		running.Wait()
	}
	e.t.Cleanup(stop)
	return stop
}

func (e *engine) submit(ids ...string) {
	e.t.Helper()
	for _, id := range ids {
		require.NoError(e.t, e.Submit(e.t.Context(), order(id)))
	}
}

// requireDelivered waits for the engine, and asserts that these orders are
// delivered, with no step's effect missing or there twice.
func (e *engine) requireDelivered(ids ...string) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), time.Minute)
	defer cancel()
	require.NoError(e.t, e.Wait(ctx))
	for _, id := range ids {
		record, err := e.store.Load(e.t.Context(), fulfilment.RunID(id))
		require.NoError(e.t, err)
		require.Equal(e.t, fulfilment.Record{
			RunID:        "fulfilment/" + id,
			Order:        order(id),
			Status:       fulfilment.Delivered,
			Version:      8,
			TotalCents:   1750,
			Reservation:  "RES-" + id,
			ChargedCents: 1750,
			PiecesPicked: 7,
			Parcels:      2,
			Tracking:     "TRK-" + id,
		}, record)
	}
}

// requireNotDone asserts that the engine has something to wait for.
func (e *engine) requireNotDone() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(e.t, e.Wait(ctx), context.DeadlineExceeded)
}

func TestOrderGoesThroughEveryStatusInOrder(t *testing.T) {
	e := newEngine(t, newStreamer(), fulfilment.NewMemoryStore(), nil)
	stop := e.run()
	e.submit("A")
	e.requireDelivered("A")
	stop()

	var want []fulfilment.Event
	states := []string{"1", "2", "2", "2", "2", "2", "2", "3"}
	for i, name := range []string{"placed", "confirmed", "reserved", "charged", "picked", "packed", "shipped", "delivered"} {
		e.events[i].CreatedAt = time.Time{}
		want = append(want, fulfilment.Event{
			ID: int64(i + 1), ForeignID: "A", Type: i + 1,
			Headers: map[fulfilment.Header]string{
				"workflow_name":  "fulfilment",
				"foreign_id":     "A",
				"topic":          "fulfilment-" + name,
				"run_id":         "fulfilment/A",
				"run_state":      states[i],
				"record_version": fmt.Sprint(i + 1),
			},
		})
	}
	assert.Equal(t, want, e.events)
	assert.Equal(t, []string{"confirm", "reserve", "charge", "pick", "pack", "ship", "deliver", "finish"}, e.received)
	assert.Equal(t, e.received, fulfilment.Consumers())
	assert.Equal(t, 1, e.finished)
	assert.Empty(t, e.failed)
	assert.Equal(t, "Status(9)", fulfilment.Status(9).String())
}

// In a bubble of synctest time passes only while every goroutine is blocked: an
// engine that polled would ask its store again. It can be stopped and run again.
func TestIdleEngineDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		e := newEngine(t, newStreamer(), fulfilment.NewMemoryStore(), func(string) error {
			calls.Add(1)
			return nil
		})
		stop := e.run()
		e.submit("A")
		e.requireDelivered("A")
		synctest.Wait()
		require.Equal(t, consumers, e.Waiting())

		before := calls.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, before, calls.Load())
		assert.Equal(t, consumers, e.Waiting())
		stop()
		assert.Zero(t, e.Waiting())

		e.submit("B")
		e.run()
		e.requireDelivered("B")
	})
}

// What has failed is tried again, at each of the times that an order needs it,
// and still each step takes effect once.
func TestWhatFailsOnceIsTriedAgain(t *testing.T) {
	for what, is := range map[string]struct{ redelivers, sendsTwice bool }{
		"NewReceiver": {}, "Recv": {}, "NewSender": {}, "Send": {}, "Outbox": {},
		"DeleteOutboxEvent": {sendsTwice: true},
		"Load":              {redelivers: true}, "Save": {redelivers: true}, "Ack": {redelivers: true},
		"step": {redelivers: true}, "crash before the step": {redelivers: true}, "crash before the ack": {redelivers: true},
	} {
		for n := range consumers {
			t.Run(fmt.Sprintf("%s %d", what, n+1), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := fulfilment.NewMemoryStore()
					newEngine(t, newStreamer(), store, nil).submit("A")
					var failures, opened, closed atomic.Int64
					fail := failNth(int64(n+1), what, &failures)
					e := newEngine(t, newStreamer(), store, func(w string) error {
						if err := fail(w); err != nil {
							return err
						}
						switch w {
						case "NewSender", "NewReceiver":
							opened.Add(1)
						case "Close":
							closed.Add(1)
						}
						return nil
					})
					stop := e.run()
					time.Sleep(time.Second)
					e.requireDelivered("A")
					stop()

					want := int(failures.Load())
					assert.Equal(t, want, e.failures)
					assert.ErrorIs(t, e.lastErr, map[bool]error{true: errTest}[want > 0])
					if want > 0 && strings.HasPrefix(what, "crash") {
						assert.Regexp(t, `^crashed: made up by the test\n(?s).*watchedFaults`, e.lastErr.Error(), "it tells where")
					}
					assert.Equal(t, is.redelivers && want > 0, e.redelivered == 1)
					received := consumers
					if is.redelivers || is.sendsTwice {
						received += want
					}
					assert.Len(t, e.received, received)
					assert.Equal(t, 1, e.finished)
					assert.Equal(t, opened.Load(), closed.Load())
				})
			})
		}
	}
}

// What always fails is tried again ever more slowly, up to once a second, holds
// up no shutdown, and is quick to recover the next time.
func TestWhatAlwaysFailsDoesNotSpin(t *testing.T) {
	for _, what := range []string{"NewReceiver", "Recv", "Ack", "NewSender", "Send", "Outbox", "Load", "step", "crash before the step"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var broken atomic.Bool
				e := newEngine(t, newStreamer(), fulfilment.NewMemoryStore(), func(w string) error {
					if w == what && broken.Load() {
						return errTest
					}
					return nil
				})
				failsForAMinute := func(orderID string) {
					broken.Store(true)
					e.submit(orderID)
					time.Sleep(time.Minute)
					synctest.Wait()
					for consumer, n := range e.failed {
						// Fourteen pauses take the first 1.6 s, and then each takes one.
						assert.Equal(t, 14+59, n, consumer)
					}
				}
				broken.Store(true)
				stop := e.run()
				failsForAMinute("A")
				require.NotEmpty(t, e.failed)
				broken.Store(false)
				e.requireDelivered("A")
				clear(e.failed)
				failsForAMinute("B")
				began := time.Now()
				stop()
				assert.Zero(t, time.Since(began))
			})
		})
	}
}

// An engine ends at each step, before the step is saved or before its event is
// acked. The next one on the same streamer and store goes on.
func TestNextEngineGoesOn(t *testing.T) {
	for n := range consumers - 1 {
		for _, where := range []string{"crash before the step", "crash before the ack"} {
			t.Run(fmt.Sprintf("%s %d", where, n+1), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					streamer, store := newStreamer(), fulfilment.NewMemoryStore()
					var failures atomic.Int64
					die := failNth(int64(n+1), where, &failures)
					e := newEngine(t, streamer, store, func(w string) error {
						err := die(w)
						if err != nil {
							time.Sleep(time.Minute)
						}
						return err
					})
					stop := e.run()
					e.submit("A")
					time.Sleep(time.Second)
					stop()
					require.Zero(t, e.failures)

					// Past the step, the order may have gone on to its end.
					left, err := store.Unfinished(t.Context())
					require.NoError(t, err)
					e = newEngine(t, streamer, store, nil)
					e.run()
					assert.Equal(t, fulfilment.ErrDuplicate, e.Submit(t.Context(), order("A")))
					e.requireDelivered("A")
					assert.Len(t, left, e.finished)
				})
			})
		}
	}
}

func TestRelayEmptiesTheOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, newStreamer(), fulfilment.NewMemoryStore(), func(what string) error {
			if what == "Recv" {
				return errTest
			}
			return nil
		})
		for i := range 200 {
			e.submit(fmt.Sprint(i))
		}
		e.run()
		synctest.Wait()
		left, err := e.store.Outbox(t.Context(), 1)
		require.NoError(t, err)
		assert.Empty(t, left)
	})
}

func TestSubmitRefuses(t *testing.T) {
	var failures atomic.Int64
	e := newEngine(t, newStreamer(), fulfilment.NewMemoryStore(), failNth(1, "Save", &failures))
	e.run()
	assert.EqualError(t, e.Submit(t.Context(), fulfilment.Order{ID: "A", Item: "x"}), "quantity must be 1 or more, not 0")
	assert.Equal(t, errTest, e.Submit(t.Context(), order("A")))
	e.requireDelivered() // nothing was accepted
	e.submit("A")
	for range 2 {
		assert.Equal(t, fulfilment.ErrDuplicate, e.Submit(t.Context(), order("A")))
		e.requireDelivered("A")
	}
}

// Of many who submit the same order one is not refused, be it the first or the
// last, and Wait waits for that order.
func TestOneOrderSubmittedByManyIsAcceptedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var saves atomic.Int64
		e := newEngine(t, newStreamer(), fulfilment.NewMemoryStore(), func(what string) error {
			if what == "Save" {
				time.Sleep(time.Duration(saves.Add(1)%3) * time.Second)
			}
			return nil
		})
		errs := make([]error, 8)
		var submitting sync.WaitGroup
		for i := range errs {
			submitting.Go(func() { errs[i] = e.Submit(t.Context(), order("A")) })
		}
		submitting.Wait()
		slices.SortFunc(errs, func(a, _ error) int { return map[bool]int{true: -1, false: 1}[a == nil] })
		assert.Equal(t, append([]error{nil}, slices.Repeat([]error{fulfilment.ErrDuplicate}, 7)...), errs)
		e.requireNotDone()
		e.run()
		e.requireDelivered("A")
	})
}

func TestNewFailsWithItsStore(t *testing.T) {
	var failures atomic.Int64
	store := watchedStore{fulfilment.NewMemoryStore(), failNth(1, "Unfinished", &failures)}
	_, err := fulfilment.New(t.Context(), newStreamer(), store)
	assert.ErrorIs(t, err, errTest)
}

// An event that makes no sense is reported, and holds up its topic.
func TestEventThatMakesNoSenseIsReported(t *testing.T) {
	type headers = map[fulfilment.Header]string
	for want, h := range map[string]headers{
		"event 1 has no header run_id":                                                    nil,
		`event 1: header record_version: strconv.Atoi: parsing "": invalid syntax`:        {"run_id": "r"},
		"load r: fulfilment: no such run":                                                 {"run_id": "r", "record_version": "1"},
		"placed is placed at version 1, and not shipped at version 1 as its event says":   {"run_id": "placed", "record_version": "1"},
		"shipped is shipped at version 1, and not shipped at version 9 as its event says": {"run_id": "shipped", "record_version": "9"},
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				streamer, store := newStreamer(), fulfilment.NewMemoryStore()
				for _, status := range []fulfilment.Status{fulfilment.Placed, fulfilment.Shipped} {
					record := fulfilment.Record{RunID: status.String(), Status: status, Version: 1}
					require.NoError(t, store.Save(t.Context(), record, fulfilment.OutboxEvent{Headers: headers{"topic": "elsewhere"}}))
				}
				sender, err := streamer.NewSender(t.Context(), fulfilment.Shipped.Topic())
				require.NoError(t, err)
				require.NoError(t, sender.Send(t.Context(), "x", int(fulfilment.Shipped), h))
				e := newEngine(t, streamer, store, nil)
				e.run()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				assert.EqualError(t, e.lastErr, want)
				assert.Equal(t, map[string]int{"deliver": 14 + 9}, e.failed)
			})
		})
	}
}

// Many submit at once, and steps fail and crash.
func TestEveryOrderIsDeliveredOnce(t *testing.T) {
	var calls, failures atomic.Int64
	e := newEngine(t, newStreamer(), fulfilment.NewMemoryStore(), func(what string) error {
		if (what == "step" || what == "crash before the ack") && calls.Add(1)%11 == 0 {
			failures.Add(1)
			return errTest
		}
		return nil
	})
	stop := e.run()
	ids := make([]string, 400)
	var submitting sync.WaitGroup
	for submitter := range 4 {
		submitting.Go(func() {
			for i := submitter; i < len(ids); i += 4 {
				ids[i] = fmt.Sprint(i)
				assert.NoError(t, e.Submit(t.Context(), order(ids[i])))
			}
		})
	}
	submitting.Wait()
	e.requireDelivered(ids...)
	stop()
	assert.Equal(t, len(ids), e.finished)
	assert.EqualValues(t, failures.Load(), e.failures)
	assert.Equal(t, e.failures, e.redelivered)
}
