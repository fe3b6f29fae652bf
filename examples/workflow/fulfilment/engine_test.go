package fulfilment_test

import (
	"context"
	"errors"
	"fmt"
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

func newEngine(t *testing.T, streamer fulfilment.EventStreamer, store fulfilment.Store, opts ...fulfilment.Option) *fulfilment.Engine {
	t.Helper()
	engine, err := fulfilment.New(t.Context(), streamer, store, opts...)
	require.NoError(t, err)
	return engine
}

// run runs an engine until the function that it returns is called, which waits
// for its end, or until the test ends.
func run(t *testing.T, engine *fulfilment.Engine) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { engine.Run(ctx) })
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func submit(t *testing.T, engine *fulfilment.Engine, ids ...string) {
	t.Helper()
	for _, id := range ids {
		require.NoError(t, engine.Submit(t.Context(), order(id)))
	}
}

// requireDelivered waits for the engine, and asserts that its store has these
// orders delivered, with no step's effect missing or there twice.
func requireDelivered(t *testing.T, engine *fulfilment.Engine, store fulfilment.Store, ids ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, engine.Wait(ctx))
	for _, id := range ids {
		record, err := store.Load(t.Context(), fulfilment.RunID(id))
		require.NoError(t, err)
		require.Equal(t, fulfilment.Record{
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

// counts counts what an engine tells of through its hooks.
type counts struct{ received, redelivered, failed, finished atomic.Int64 }

func (c *counts) hooks() fulfilment.Option {
	return fulfilment.WithHooks(fulfilment.Hooks{
		Received: func(_ string, _ *fulfilment.Event, redelivered bool) {
			c.received.Add(1)
			if redelivered {
				c.redelivered.Add(1)
			}
		},
		Failed:   func(string, error) { c.failed.Add(1) },
		Finished: func(string) { c.finished.Add(1) },
	})
}

// callAt has an engine call f at each step, after the step is saved or before.
func callAt(saved bool, f func(consumer string)) fulfilment.Option {
	if saved {
		return fulfilment.WithFaults(fulfilment.Faults{
			BeforeAck: func(consumer string, _ fulfilment.Record) { f(consumer) },
		})
	}
	return fulfilment.WithFaults(fulfilment.Faults{
		BeforeStep: func(consumer string, _ fulfilment.Record) error {
			f(consumer)
			return nil
		},
	})
}

// requireNotDone asserts that the engine has something to wait for.
func requireNotDone(t *testing.T, engine *fulfilment.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(t, engine.Wait(ctx), context.DeadlineExceeded)
}

func TestOrderGoesThroughEveryStatusInOrder(t *testing.T) {
	var mu sync.Mutex
	var names, finished []string
	var events []fulfilment.Event
	store := fulfilment.NewMemoryStore()
	engine := newEngine(t, newStreamer(), store, fulfilment.WithHooks(fulfilment.Hooks{
		Received: func(consumer string, event *fulfilment.Event, redelivered bool) {
			mu.Lock()
			defer mu.Unlock()
			assert.False(t, redelivered)
			event.CreatedAt = time.Time{}
			names, events = append(names, consumer), append(events, *event)
		},
		Failed:   func(consumer string, err error) { t.Errorf("%s: %v", consumer, err) },
		Finished: func(orderID string) { finished = append(finished, orderID) },
	}))
	stop := run(t, engine)
	submit(t, engine, "A")
	requireDelivered(t, engine, store, "A")
	stop()

	var want []fulfilment.Event
	states := []string{"1", "2", "2", "2", "2", "2", "2", "3"}
	for i, name := range []string{"placed", "confirmed", "reserved", "charged", "picked", "packed", "shipped", "delivered"} {
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
	assert.Equal(t, want, events)
	assert.Equal(t, []string{"confirm", "reserve", "charge", "pick", "pack", "ship", "deliver", "finish"}, names)
	assert.Equal(t, names, fulfilment.Consumers())
	assert.Equal(t, []string{"A"}, finished)
	assert.Equal(t, "Status(9)", fulfilment.Status(9).String())
}

// In a bubble of synctest time passes only while every goroutine is blocked: an
// engine that polled would ask its store again.
func TestIdleEngineDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		store := watchedStore{fulfilment.NewMemoryStore(), func(string) error {
			calls.Add(1)
			return nil
		}}
		engine := newEngine(t, newStreamer(), store)
		stop := run(t, engine)
		submit(t, engine, "A")
		requireDelivered(t, engine, store, "A")
		synctest.Wait()
		require.Equal(t, consumers, engine.Waiting())

		before := calls.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, before, calls.Load())
		assert.Equal(t, consumers, engine.Waiting())
		stop()
		assert.Zero(t, engine.Waiting())
	})
}

// A pause doubles with each failure up to a second, and the next failure after a
// success starts anew, at a step as in the relay.
func TestPausesGrowAndStartAnew(t *testing.T) {
	for _, where := range []string{"step", "Send"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left int
				var failures []time.Time
				fail := func() error {
					if left == 0 {
						return nil
					}
					left--
					failures = append(failures, time.Now())
					return errTest
				}
				faults := fulfilment.Faults{BeforeStep: func(consumer string, _ fulfilment.Record) error {
					if where == "step" && consumer == "charge" {
						return fail()
					}
					return nil
				}}
				streamer := watchedStreamer{newStreamer(), func(method string) error {
					if method == where {
						return fail()
					}
					return nil
				}}
				store := fulfilment.NewMemoryStore()
				engine := newEngine(t, streamer, store, fulfilment.WithFaults(faults))
				run(t, engine)
				for _, id := range []string{"A", "B"} {
					left, failures = 18, nil
					submit(t, engine, id)
					requireDelivered(t, engine, store, id)
					pause := 100 * time.Microsecond
					for i := range failures[1:] {
						assert.Equal(t, pause, failures[i+1].Sub(failures[i]), "pause %d", i+1)
						pause = min(2*pause, time.Second)
					}
					assert.Equal(t, time.Second, pause)
				}
			})
		})
	}
}

// What fails once, of the store or of the streamer, is tried again, and every
// step takes effect once.
func TestWhatFailsOnceIsTriedAgain(t *testing.T) {
	for _, method := range []string{"Load", "Save", "Outbox", "DeleteOutboxEvent", "NewSender", "NewReceiver", "Send", "Recv", "Ack"} {
		t.Run(method, func(t *testing.T) {
			var counted counts
			store := fulfilment.NewMemoryStore()
			submit(t, newEngine(t, newStreamer(), store), "A")
			fail := nth(1, method)
			engine := newEngine(t, watchedStreamer{newStreamer(), fail}, watchedStore{store, fail}, counted.hooks())
			stop := run(t, engine)
			requireDelivered(t, engine, store, "A")
			stop()
			assert.EqualValues(t, 1, counted.failed.Load())
		})
	}
}

// What always fails is tried once a second, and holds up no shutdown.
func TestWhatAlwaysFailsDoesNotSpin(t *testing.T) {
	faults := map[string]func(string, fulfilment.Record) error{
		"step":  func(string, fulfilment.Record) error { return errTest },
		"crash": func(string, fulfilment.Record) error { panic(errTest) },
	}
	for _, what := range []string{"NewReceiver", "Recv", "Ack", "NewSender", "Send", "Outbox", "Load", "step", "crash"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fail := func(method string) error {
					if method == what {
						return errTest
					}
					return nil
				}
				var mu sync.Mutex
				failures := make(map[string]int) // by consumer
				engine := newEngine(t, watchedStreamer{newStreamer(), fail}, watchedStore{fulfilment.NewMemoryStore(), fail},
					fulfilment.WithFaults(fulfilment.Faults{BeforeStep: faults[what]}),
					fulfilment.WithHooks(fulfilment.Hooks{Failed: func(consumer string, err error) {
						mu.Lock()
						defer mu.Unlock()
						assert.ErrorIs(t, err, errTest)
						failures[consumer]++
					}}))
				stop := run(t, engine)
				submit(t, engine, "A")
				time.Sleep(time.Minute)
				began := time.Now()
				stop()
				assert.Zero(t, time.Since(began))
				requireNotDone(t, engine)
				require.NotEmpty(t, failures)
				for consumer, n := range failures {
					// Fourteen pauses take the first 1.6 s, and then each takes one.
					assert.Equal(t, 14+59, n, consumer)
				}
			})
		})
	}
}

func TestCrashedConsumerResumes(t *testing.T) {
	for _, saved := range []bool{false, true} {
		t.Run(fmt.Sprintf("saved=%t", saved), func(t *testing.T) {
			var crashed sync.Map // consumers
			crash := callAt(saved, func(consumer string) {
				if _, already := crashed.LoadOrStore(consumer, true); !already {
					panic(errTest)
				}
			})
			var opened, closed atomic.Int64
			streamer := watchedStreamer{newStreamer(), func(method string) error {
				switch method {
				case "NewSender", "NewReceiver":
					opened.Add(1)
				case "Close":
					closed.Add(1)
				}
				return nil
			}}
			var counted counts
			store := fulfilment.NewMemoryStore()
			engine := newEngine(t, streamer, store, crash, counted.hooks())
			stop := run(t, engine)
			submit(t, engine, "A")
			requireDelivered(t, engine, store, "A")
			stop()
			const steps = int64(consumers - 1)
			assert.Equal(t, steps, counted.failed.Load())
			assert.Equal(t, steps, counted.redelivered.Load())
			assert.Equal(t, steps+2*int64(consumers), opened.Load(), "a sender and a receiver each, and a receiver more after a crash")
			assert.Equal(t, opened.Load(), closed.Load())
		})
	}
}

func TestCrashTellsWhereItWas(t *testing.T) {
	failures := make(chan error, 1)
	engine := newEngine(t, newStreamer(), fulfilment.NewMemoryStore(),
		callAt(true, func(string) { panic("on the floor") }),
		fulfilment.WithHooks(fulfilment.Hooks{Failed: func(_ string, err error) {
			select {
			case failures <- err:
			default:
			}
		}}))
	run(t, engine)
	submit(t, engine, "A")
	err := <-failures
	assert.Regexp(t, `^crashed: on the floor\n(?s).*TestCrashTellsWhereItWas`, err.Error())
	_, ok := errors.AsType[*fulfilment.Crash](err)
	assert.True(t, ok)
}

func TestEventSentTwiceIsDoneOnce(t *testing.T) {
	for n := range consumers {
		t.Run(fulfilment.Status(n+1).String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var counted counts
				store := watchedStore{fulfilment.NewMemoryStore(), nth(int64(n+1), "DeleteOutboxEvent")}
				engine := newEngine(t, newStreamer(), store, counted.hooks())
				run(t, engine)
				submit(t, engine, "A")
				time.Sleep(time.Second)
				requireDelivered(t, engine, store, "A")
				assert.EqualValues(t, consumers+1, counted.received.Load())
				assert.Zero(t, counted.redelivered.Load(), "sent twice, it is another event")
				assert.EqualValues(t, 1, counted.finished.Load())
			})
		})
	}
}

// An engine ends at each step, before the step is saved or before its event is
// acked. The next one on the same streamer and store goes on.
func TestNextEngineGoesOn(t *testing.T) {
	for _, step := range fulfilment.Consumers()[:consumers-1] {
		for _, saved := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s saved=%t", step, saved), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					streamer, store := newStreamer(), fulfilment.NewMemoryStore()
					engine := newEngine(t, streamer, store, callAt(saved, func(consumer string) {
						if consumer == step {
							time.Sleep(time.Minute)
							panic("killed")
						}
					}))
					stop := run(t, engine)
					submit(t, engine, "A")
					time.Sleep(time.Second)
					stop()

					// Past the step, the order may have gone on to its end.
					left, err := store.Unfinished(t.Context())
					require.NoError(t, err)
					var counted counts
					engine = newEngine(t, streamer, store, counted.hooks())
					run(t, engine)
					assert.ErrorIs(t, engine.Submit(t.Context(), order("A")), fulfilment.ErrDuplicate)
					requireDelivered(t, engine, store, "A")
					assert.EqualValues(t, len(left), counted.finished.Load())
					if !saved {
						assert.Len(t, left, 1)
					}
				})
			})
		}
	}
}

func TestRunAgainGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fulfilment.NewMemoryStore()
		engine := newEngine(t, newStreamer(), store)
		for round := range 2 {
			var ids []string
			for i := range 100 {
				ids = append(ids, fmt.Sprintf("%d-%d", round, i))
			}
			submit(t, engine, ids...)
			stop := run(t, engine)
			requireDelivered(t, engine, store, ids...)
			synctest.Wait()
			stop()
			left, err := store.Outbox(t.Context(), 1)
			require.NoError(t, err)
			assert.Empty(t, left, "what was sent is deleted")
		}
	})
}

func TestSubmitRefuses(t *testing.T) {
	store := watchedStore{fulfilment.NewMemoryStore(), nth(1, "Save")}
	engine := newEngine(t, newStreamer(), store)
	run(t, engine)
	assert.EqualError(t, engine.Submit(t.Context(), fulfilment.Order{ID: "A", Item: "x"}), "quantity must be 1 or more, not 0")
	assert.Equal(t, errTest, engine.Submit(t.Context(), order("A")))
	requireDelivered(t, engine, store) // nothing was accepted
	submit(t, engine, "A")
	for range 2 {
		assert.Equal(t, fulfilment.ErrDuplicate, engine.Submit(t.Context(), order("A")))
		requireDelivered(t, engine, store, "A")
	}
}

// Of many who submit the same order one is not refused, be it the first or the
// last, and Wait waits for that order.
func TestOneOrderSubmittedByManyIsAcceptedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var saves atomic.Int64
		store := watchedStore{fulfilment.NewMemoryStore(), func(string) error {
			time.Sleep(time.Duration(saves.Add(1)%3) * time.Second)
			return nil
		}}
		engine := newEngine(t, newStreamer(), store)
		var accepted atomic.Int64
		var submitting sync.WaitGroup
		for range 8 {
			submitting.Go(func() {
				switch err := engine.Submit(t.Context(), order("A")); err {
				case nil:
					accepted.Add(1)
				default:
					assert.Equal(t, fulfilment.ErrDuplicate, err)
				}
			})
		}
		submitting.Wait()
		assert.EqualValues(t, 1, accepted.Load())
		requireNotDone(t, engine)
		run(t, engine)
		requireDelivered(t, engine, store, "A")
	})
}

func TestNewFailsWithItsStore(t *testing.T) {
	_, err := fulfilment.New(t.Context(), newStreamer(), watchedStore{fulfilment.NewMemoryStore(), nth(1, "Unfinished")})
	assert.ErrorIs(t, err, errTest)
}

// An event that makes no sense is reported, and holds up its topic.
func TestEventThatMakesNoSenseIsReported(t *testing.T) {
	for want, headers := range map[string]map[fulfilment.Header]string{
		"event 1 has no header run_id":                                                        nil,
		`event 1: header record_version: strconv.Atoi: parsing "": invalid syntax`:            {"run_id": "r"},
		"load r: fulfilment: no such run":                                                     {"run_id": "r", "record_version": "1"},
		"fulfilment/A is placed at version 1, and not shipped at version 9 as its event says": {"run_id": "fulfilment/A", "record_version": "9"},
		"fulfilment/A is placed at version 1, and not shipped at version 1 as its event says": {"run_id": "fulfilment/A", "record_version": "1"},
	} {
		t.Run(want, func(t *testing.T) {
			streamer, store := newStreamer(), fulfilment.NewMemoryStore()
			submit(t, newEngine(t, newStreamer(), store), "A")
			sender, err := streamer.NewSender(t.Context(), fulfilment.Shipped.Topic())
			require.NoError(t, err)
			require.NoError(t, sender.Send(t.Context(), "x", int(fulfilment.Shipped), headers))
			failures := make(chan string, 100)
			// The rest of the workflow stands still, so that A stays placed.
			blocked := watchedStore{store, func(method string) error {
				if method == "Outbox" {
					return errTest
				}
				return nil
			}}
			run(t, newEngine(t, streamer, blocked, fulfilment.WithHooks(fulfilment.Hooks{Failed: func(consumer string, err error) {
				if consumer != fulfilment.Outbox {
					failures <- consumer + ": " + err.Error()
				}
			}})))
			assert.Equal(t, "deliver: "+want, <-failures)
			assert.Equal(t, "deliver: "+want, <-failures)
		})
	}
}

// Many submit at once, and steps fail and crash.
func TestEveryOrderIsDeliveredOnce(t *testing.T) {
	const submitters, each = 4, 100
	var counted counts
	var tries, saves atomic.Int64
	store := fulfilment.NewMemoryStore()
	engine := newEngine(t, newStreamer(), store, counted.hooks(), fulfilment.WithFaults(fulfilment.Faults{
		BeforeStep: func(string, fulfilment.Record) error {
			if tries.Add(1)%11 == 0 {
				return errTest
			}
			return nil
		},
		BeforeAck: func(string, fulfilment.Record) {
			if saves.Add(1)%17 == 0 {
				panic(errTest)
			}
		},
	}))
	stop := run(t, engine)
	ids := make([]string, submitters*each)
	var submitting sync.WaitGroup
	for i := range submitters {
		submitting.Go(func() {
			for j := i; j < len(ids); j += submitters {
				ids[j] = fmt.Sprint(j)
				assert.NoError(t, engine.Submit(t.Context(), order(ids[j])))
			}
		})
	}
	submitting.Wait()
	requireDelivered(t, engine, store, ids...)
	stop()
	assert.EqualValues(t, len(ids), counted.finished.Load())
	assert.Equal(t, tries.Load()/11+saves.Load()/17, counted.failed.Load())
	assert.Equal(t, counted.failed.Load(), counted.redelivered.Load())
}
