package fulfilment_test

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	"github.com/memstreamer/memstreamer/examples/workflow/workflowtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryStore(t *testing.T) { workflowtest.Store(t, fulfilment.NewMemoryStore()) }

var errTest = errors.New("made up by the test")

// consumers is how many an engine has: one for each status.
const consumers = int(fulfilment.Delivered)

// engine is an engine whose streamer and store are watched, and what it tells of.
type engine struct {
	*fulfilment.Engine
	t     *testing.T
	store fulfilment.Store

	mu                    sync.Mutex
	received              []string // consumers
	events                []fulfilment.Event
	redelivered, failures int
	failed                map[string]int // by consumer
	lastErr               error
}

func newEngine(t *testing.T, streamer *memstreamer.StreamConstructor, store fulfilment.Store, inProgress int, w watch) *engine {
	t.Helper()
	e := &engine{t: t, store: store, failed: make(map[string]int)}
	var err error
	e.Engine, err = fulfilment.New(t.Context(), w.streamer(streamer), watchedStore{store, w}, fulfilment.Options{
		InProgress: inProgress,
		Received: func(consumer string, event *fulfilment.Event, redelivered bool) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.received = append(e.received, consumer)
			e.events = append(e.events, *event)
			if redelivered {
				e.redelivered++
			}
		},
		Failed: func(consumer string, err error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.failures++
			e.failed[consumer]++
			e.lastErr = err
		},
	})
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

func (e *engine) trySubmit(ctx context.Context, id string) error {
	return e.Submit(ctx, fulfilment.Order{ID: id, Item: "kettle", Quantity: 7, PriceCents: 250})
}

func (e *engine) submit(id string) {
	e.t.Helper()
	require.NoError(e.t, e.trySubmit(e.t.Context(), id))
}

// requireDone waits for the engine, and asserts that so many orders are delivered,
// with no step's effect missing or there twice, and that the outbox is empty.
func (e *engine) requireDone(orders int) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), time.Minute)
	defer cancel()
	require.NoError(e.t, e.Wait(ctx))
	records, err := e.store.All(ctx)
	require.NoError(e.t, err)
	require.Len(e.t, records, orders)
	for _, r := range records {
		order := fulfilment.Order{ID: r.Order.ID, Item: "kettle", Quantity: 7, PriceCents: 250}
		require.Equal(e.t, fulfilment.Record{Order: order, Status: fulfilment.Delivered, ChargedCents: 1750, PiecesPicked: 7}, r)
	}
	e.requireOutboxEmpty()
}

func (e *engine) requireOutboxEmpty() {
	e.t.Helper()
	left, err := e.store.Outbox(e.t.Context(), 1)
	require.NoError(e.t, err)
	require.Empty(e.t, left)
}

func (e *engine) requireNotDone() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(e.t, e.Wait(ctx), context.DeadlineExceeded)
}

func TestOrderGoesThroughEveryStatusInOrder(t *testing.T) {
	e := newEngine(t, memstreamer.New(), fulfilment.NewMemoryStore(), 0, nothing)
	stop := e.run()
	e.submit("A")
	e.requireDone(1)
	stop()

	var want []fulfilment.Event
	for i, name := range []string{"placed", "confirmed", "reserved", "charged", "picked", "packed", "shipped", "delivered"} {
		e.events[i].CreatedAt = time.Time{}
		want = append(want, fulfilment.Event{
			ID: int64(i + 1), ForeignID: "A", Type: i + 1,
			Headers: map[fulfilment.Header]string{
				"workflow_name": "fulfilment", "foreign_id": "A", "topic": "fulfilment-" + name,
				"run_id": "fulfilment/A", "record_version": fmt.Sprint(i + 1),
			},
		})
	}
	assert.Equal(t, want, e.events)
	assert.Equal(t, []string{"confirm", "reserve", "charge", "pick", "pack", "ship", "deliver", "finish"}, e.received)
	assert.Equal(t, e.received, fulfilment.Consumers())
	assert.Empty(t, e.failed)
	assert.Equal(t, "Status(9)", fulfilment.Status(9).String())
}

// In a bubble of synctest time passes only while every goroutine is blocked: an
// engine that polled would ask its store again. It can be stopped and run again, and
// what is sent to it again has been done.
func TestIdleEngineDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		streamer := memstreamer.New()
		e := newEngine(t, streamer, fulfilment.NewMemoryStore(), 0, func(call string) error {
			calls.Add(1)
			if call == "Sent" {
				time.Sleep(time.Second) // is waited for, too
			}
			return nil
		})
		stop := e.run()
		e.submit("A")
		e.requireDone(1)
		synctest.Wait()
		require.Equal(t, consumers, e.Waiting())

		before := calls.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, before, calls.Load())
		assert.Equal(t, consumers, e.Waiting())
		stop()
		assert.Zero(t, e.Waiting())

		e.submit("B")
		for status := fulfilment.Placed; status <= fulfilment.Delivered; status++ {
			sender, err := streamer.NewSender(t.Context(), status.Topic())
			require.NoError(t, err)
			require.NoError(t, sender.Send(t.Context(), "A", int(status), nil))
		}
		e.run()
		e.requireDone(2)
		synctest.Wait()
		assert.Len(t, e.received, 3*consumers)
		assert.Empty(t, e.failed)
	})
}

// What has failed is tried again, at each of the times that an order needs it, and
// still each step takes effect once. So it is when the engine ends at that time,
// and the next one on the same streamer and store goes on. After "after Save" a
// step is done, and its event not acked.
func TestWhatFailsOnceIsTriedAgain(t *testing.T) {
	for what, redelivers := range map[string]bool{
		"NewReceiver": false, "Recv": false, "NewSender": false, "Send": false, "Outbox": false, "Sent": false,
		"Load": true, "Save": true, "after Save": true, "Ack": true,
	} {
		for n := range 2 * consumers {
			nth, ends := int64(n/2+1), n%2 == 1
			t.Run(fmt.Sprintf("%s %d %t", what, nth, ends), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var calls, opened, closed, failures atomic.Int64
					calls.Store(math.MinInt) // none counts before it runs
					streamer, store := memstreamer.New(), fulfilment.NewMemoryStore()
					e := newEngine(t, streamer, store, 0, func(call string) error {
						switch {
						case call == what && calls.Add(1) == nth:
							if ends {
								time.Sleep(time.Minute)
							}
							failures.Add(1)
							return errTest
						case call == "NewSender" || call == "NewReceiver":
							opened.Add(1)
						case call == "Close":
							closed.Add(1)
						}
						return nil
					})
					calls.Store(0)
					stop := e.run()
					e.submit("A")
					time.Sleep(time.Second)
					if ends {
						stop()
						assert.Zero(t, e.failures)
						assert.Equal(t, opened.Load(), closed.Load())
						e = newEngine(t, streamer, store, 0, nothing)
						e.run()
						assert.Equal(t, fulfilment.ErrDuplicate, e.trySubmit(t.Context(), "A"))
						e.requireDone(1)
						return
					}
					e.requireDone(1)
					stop()

					want := int(failures.Load())
					assert.Equal(t, want, e.failures)
					assert.ErrorIs(t, e.lastErr, map[bool]error{true: errTest}[want > 0])
					assert.Equal(t, redelivers && want > 0, e.redelivered == 1)
					received := consumers
					if redelivers || what == "Sent" && nth == 8 { // after the others, the order has gone on
						received += want
					}
					assert.Len(t, e.received, received)
					assert.Equal(t, opened.Load(), closed.Load())
				})
			})
		}
	}
}

// What always fails is tried again ever more slowly, up to once a second, holds
// up no shutdown, and is quick to recover the next time. The relay goes on though
// consumers fail.
func TestWhatAlwaysFailsDoesNotSpin(t *testing.T) {
	for _, what := range []string{"NewReceiver", "Recv", "Ack", "NewSender", "Send", "Outbox", "Load", "Save"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var broken atomic.Bool
				e := newEngine(t, memstreamer.New(), fulfilment.NewMemoryStore(), 0, func(call string) error {
					if call == what && broken.Load() {
						return errTest
					}
					return nil
				})
				failsForAMinute := func(name string) {
					broken.Store(true)
					for i := range 200 {
						e.submit(fmt.Sprint(name, i))
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					for consumer, n := range e.failed {
						// Fourteen pauses take the first 1.6 s, and then each takes one.
						assert.Equal(t, 14+59, n, consumer)
					}
					if e.failed[fulfilment.Outbox] == 0 {
						e.requireOutboxEmpty()
					}
				}
				broken.Store(true)
				stop := e.run()
				failsForAMinute("A")
				require.NotEmpty(t, e.failed)
				broken.Store(false)
				e.requireDone(200)
				clear(e.failed)
				failsForAMinute("B")
				began := time.Now()
				stop()
				assert.Zero(t, time.Since(began))
			})
		})
	}
}

// An order is refused that is none or was submitted before, by others at the same
// time too, and accepted after a failure.
func TestSubmitRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var saves atomic.Int64
		e := newEngine(t, memstreamer.New(), fulfilment.NewMemoryStore(), 0, func(call string) error {
			if call == "Submit" {
				time.Sleep(time.Second)
				if saves.Add(1) == 1 {
					return errTest
				}
			}
			return nil
		})
		assert.EqualError(t, e.Submit(t.Context(), fulfilment.Order{ID: "A", Item: "x"}), "quantity must be 1 or more, not 0")
		assert.Equal(t, errTest, e.trySubmit(t.Context(), "A"))
		e.requireDone(0)
		errs := make(chan error, 8)
		for range 8 {
			go func() { errs <- e.trySubmit(t.Context(), "A") }()
		}
		for range 7 {
			assert.Equal(t, fulfilment.ErrDuplicate, <-errs)
		}
		assert.NoError(t, <-errs)
		e.requireNotDone()
		e.run()
		e.requireDone(1)
		assert.Equal(t, fulfilment.ErrDuplicate, e.trySubmit(t.Context(), "A"))
		e.requireDone(1)
	})
}

// Submit waits for room, within its context.
func TestOrdersInProgressAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streamer, store := memstreamer.New(), fulfilment.NewMemoryStore()
		newEngine(t, streamer, store, 0, nothing).submit("A") // counts too
		e := newEngine(t, streamer, store, 2, nothing)
		e.submit("B")
		hasty, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		assert.ErrorIs(t, e.trySubmit(hasty, "C"), context.DeadlineExceeded)
		assert.Equal(t, 2, e.InProgress())
		e.run()
		for i := range 50 {
			e.submit(fmt.Sprint(i))
			require.LessOrEqual(t, e.InProgress(), 2)
		}
		e.requireDone(52)
		assert.Zero(t, e.InProgress())
	})
}

func TestNewFailsWithItsStore(t *testing.T) {
	for _, what := range []string{"All", "Outbox"} {
		store := watchedStore{fulfilment.NewMemoryStore(), func(call string) error { return map[string]error{what: errTest}[call] }}
		_, err := fulfilment.New(t.Context(), nothing.streamer(memstreamer.New()), store, fulfilment.Options{})
		assert.ErrorIs(t, err, errTest)
	}
}

// An event that makes no sense is reported, and holds up its topic.
func TestEventThatMakesNoSenseIsReported(t *testing.T) {
	for orderID, want := range map[string]string{
		"none": "load none: fulfilment: no such order",
		"A":    "A is placed, and not shipped as its event says",
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				streamer := memstreamer.New()
				sender, err := streamer.NewSender(t.Context(), fulfilment.Shipped.Topic())
				require.NoError(t, err)
				require.NoError(t, sender.Send(t.Context(), orderID, int(fulfilment.Shipped), nil))
				e := newEngine(t, streamer, fulfilment.NewMemoryStore(), 0, func(call string) error {
					if call == "Send" {
						time.Sleep(time.Hour)
					}
					return nil
				})
				e.submit("A")
				e.run()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				assert.EqualError(t, e.lastErr, want)
				assert.Equal(t, map[string]int{"deliver": 14 + 9}, e.failed)
			})
		})
	}
}
