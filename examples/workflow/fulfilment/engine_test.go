package fulfilment_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

var errTest = errors.New("made up by the test")

// receivers is how many an engine has: seven steps, and the end.
const receivers = 8

func newStreamer() fulfilment.EventStreamer {
	return memstreamer.As[fulfilment.EventStreamer](memstreamer.New())
}

func order(id string) fulfilment.Order {
	return fulfilment.Order{ID: id, Item: "kettle", Quantity: 7, PriceCents: 250}
}

// start runs an engine until the function that it returns is called, which
// joins it, or until the test ends.
func start(t *testing.T, streamer fulfilment.EventStreamer, store fulfilment.Store, opts ...fulfilment.Option) (*fulfilment.Engine, func()) {
	t.Helper()
	engine, err := fulfilment.New(t.Context(), streamer, store, opts...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { engine.Run(ctx) })
	stop := func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return engine, stop
}

// wait waits for the engine to have finished its orders.
func wait(t *testing.T, engine *fulfilment.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, engine.Wait(ctx))
}

// requireDelivered asserts that the order is delivered, and that no step has
// taken effect twice.
func requireDelivered(t *testing.T, store fulfilment.Store, orderID string) {
	t.Helper()
	record, err := store.Load(t.Context(), fulfilment.RunID(orderID))
	require.NoError(t, err)
	require.Equal(t, fulfilment.Record{
		RunID:        "fulfilment/" + orderID,
		Order:        order(orderID),
		Status:       fulfilment.Delivered,
		Version:      8,
		CreatedAt:    record.CreatedAt,
		UpdatedAt:    record.UpdatedAt,
		TotalCents:   1750,
		Reservation:  "RES-" + orderID,
		ChargedCents: 1750,
		PiecesPicked: 7,
		Parcels:      2,
		Tracking:     "TRK-" + orderID,
	}, record)
	require.False(t, record.UpdatedAt.Before(record.CreatedAt))
}

func TestOrderGoesThroughEveryStatusInOrder(t *testing.T) {
	var mu sync.Mutex
	var received, finished []string
	streamer, store := newStreamer(), fulfilment.NewMemoryStore()
	engine, stop := start(t, streamer, store, fulfilment.WithHooks(fulfilment.Hooks{
		Received: func(consumer string, event *fulfilment.Event, redelivered bool) {
			mu.Lock()
			defer mu.Unlock()
			received = append(received, fmt.Sprintf("%s %v %t", consumer, fulfilment.Status(event.Type), redelivered))
		},
		Failed:  func(consumer string, err error) { t.Errorf("%s failed: %v", consumer, err) },
		Crashed: func(consumer string, reason any, _ []byte) { t.Errorf("%s crashed: %v", consumer, reason) },
		Finished: func(orderID string) {
			mu.Lock()
			defer mu.Unlock()
			finished = append(finished, orderID)
		},
	}))
	require.NoError(t, engine.Submit(t.Context(), order("A")))
	wait(t, engine)
	stop()

	requireDelivered(t, store, "A")
	assert.Equal(t, []string{"A"}, finished)
	assert.Equal(t, []string{
		"confirm placed false",
		"reserve confirmed false",
		"charge reserved false",
		"pick charged false",
		"pack picked false",
		"ship packed false",
		"deliver shipped false",
		"finish delivered false",
	}, received)
}

func TestEventsCarryTheHeadersOfAnEngine(t *testing.T) {
	streamer := newStreamer()
	engine, _ := start(t, streamer, fulfilment.NewMemoryStore())
	require.NoError(t, engine.Submit(t.Context(), order("A")))
	wait(t, engine)

	names := []string{"placed", "confirmed", "reserved", "charged", "picked", "packed", "shipped", "delivered"}
	states := []string{"1", "2", "2", "2", "2", "2", "2", "3"}
	for i, name := range names {
		receiver, err := streamer.NewReceiver(t.Context(), "fulfilment-"+name, "the test")
		require.NoError(t, err)
		event, _, err := receiver.Recv(t.Context())
		require.NoError(t, err)
		assert.Equal(t, &fulfilment.Event{
			ID:        int64(i + 1),
			ForeignID: "A",
			Type:      i + 1,
			Headers: map[fulfilment.Header]string{
				"workflow_name":  "fulfilment",
				"foreign_id":     "A",
				"topic":          "fulfilment-" + name,
				"run_id":         "fulfilment/A",
				"run_state":      states[i],
				"record_version": fmt.Sprint(i + 1),
			},
			CreatedAt: event.CreatedAt,
		}, event)
	}
}

func TestConsumersAreThoseThatReceive(t *testing.T) {
	assert.Len(t, fulfilment.Consumers(), receivers)
	seen := make(chan string, receivers)
	engine, _ := start(t, newStreamer(), fulfilment.NewMemoryStore(), fulfilment.WithHooks(fulfilment.Hooks{
		Received: func(consumer string, _ *fulfilment.Event, _ bool) { seen <- consumer },
	}))
	require.NoError(t, engine.Submit(t.Context(), order("A")))
	for _, name := range fulfilment.Consumers() {
		assert.Equal(t, name, <-seen)
	}
	wait(t, engine)
}

// In a bubble of synctest an hour passes only while every goroutine is durably
// blocked: an engine that polled would never see its end.
func TestIdleEngineDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countingStore{Store: fulfilment.NewMemoryStore()}
		engine, stop := start(t, newStreamer(), store)
		require.NoError(t, engine.Submit(t.Context(), order("A")))
		wait(t, engine)
		synctest.Wait()
		require.Equal(t, receivers, engine.Waiting())
		calls := store.calls.Load()

		began := time.Now()
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, time.Hour, time.Since(began))
		assert.Equal(t, calls, store.calls.Load(), "the store is asked only after a save")
		assert.Equal(t, receivers, engine.Waiting())

		stop()
		assert.Zero(t, engine.Waiting())
	})
}

func TestFailingStepIsTriedAgainAfterGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const failures = 18
		var tries []time.Time
		var failed, redelivered atomic.Int64
		store := fulfilment.NewMemoryStore()
		engine, _ := start(t, newStreamer(), store,
			fulfilment.WithFaults(fulfilment.Faults{
				BeforeStep: func(consumer string, record fulfilment.Record) error {
					if consumer != "charge" || record.Order.ID != "A" {
						return nil
					}
					if tries = append(tries, time.Now()); len(tries) <= failures {
						return errTest
					}
					return nil
				},
			}),
			fulfilment.WithHooks(fulfilment.Hooks{
				Failed: func(consumer string, err error) {
					assert.Equal(t, "charge", consumer)
					assert.ErrorIs(t, err, errTest)
					failed.Add(1)
				},
				Received: func(_ string, _ *fulfilment.Event, again bool) {
					if again {
						redelivered.Add(1)
					}
				},
			}))
		require.NoError(t, engine.Submit(t.Context(), order("A")))
		require.NoError(t, engine.Submit(t.Context(), order("B")))
		wait(t, engine)

		requireDelivered(t, store, "A")
		requireDelivered(t, store, "B")
		assert.EqualValues(t, failures, failed.Load())
		assert.EqualValues(t, failures, redelivered.Load())
		pause := 100 * time.Microsecond
		for i := range failures {
			assert.Equal(t, pause, tries[i+1].Sub(tries[i]), "pause %d", i+1)
			pause = min(2*pause, time.Second)
		}
		assert.Equal(t, time.Second, pause, "the last pauses were the longest")
	})
}

func TestPauseStartsAnewAfterSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		engine, _ := start(t, newStreamer(), fulfilment.NewMemoryStore(), fulfilment.WithFaults(fulfilment.Faults{
			BeforeStep: func(consumer string, _ fulfilment.Record) error {
				if consumer != "pack" {
					return nil
				}
				if tries = append(tries, time.Now()); len(tries)%2 == 1 {
					return errTest
				}
				return nil
			},
		}))
		for _, id := range []string{"A", "B"} {
			require.NoError(t, engine.Submit(t.Context(), order(id)))
			wait(t, engine)
		}
		require.Len(t, tries, 4)
		assert.Equal(t, tries[1].Sub(tries[0]), tries[3].Sub(tries[2]))
	})
}

func TestStepThatFailsForeverHoldsUpNoShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, stop := start(t, newStreamer(), fulfilment.NewMemoryStore(), fulfilment.WithFaults(fulfilment.Faults{
			BeforeStep: func(string, fulfilment.Record) error { return errTest },
		}))
		require.NoError(t, engine.Submit(t.Context(), order("A")))
		time.Sleep(time.Minute)
		began := time.Now()
		stop()
		assert.Zero(t, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, engine.Wait(ctx), context.DeadlineExceeded)
	})
}

func TestCrashedConsumerResumes(t *testing.T) {
	crashOnce := func() func(consumer string) {
		var crashed sync.Map
		return func(consumer string) {
			if _, already := crashed.LoadOrStore(consumer, true); !already {
				panic(errTest)
			}
		}
	}
	for name, faults := range map[string]func(crash func(string)) fulfilment.Faults{
		"before the step is saved": func(crash func(string)) fulfilment.Faults {
			return fulfilment.Faults{BeforeStep: func(consumer string, _ fulfilment.Record) error {
				crash(consumer)
				return nil
			}}
		},
		"between the save and the ack": func(crash func(string)) fulfilment.Faults {
			return fulfilment.Faults{BeforeAck: func(consumer string, _ fulfilment.Record) {
				crash(consumer)
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var crashed, redelivered []string
			streamer := &recordingStreamer{EventStreamer: newStreamer()}
			store := fulfilment.NewMemoryStore()
			engine, stop := start(t, streamer, store,
				fulfilment.WithFaults(faults(crashOnce())),
				fulfilment.WithHooks(fulfilment.Hooks{
					Crashed: func(consumer string, reason any, stack []byte) {
						assert.Equal(t, errTest, reason)
						assert.Contains(t, string(stack), "TestCrashedConsumerResumes", "where it panicked")
						mu.Lock()
						defer mu.Unlock()
						crashed = append(crashed, consumer)
					},
					Received: func(consumer string, event *fulfilment.Event, again bool) {
						mu.Lock()
						defer mu.Unlock()
						if again {
							redelivered = append(redelivered, consumer)
						}
					},
					Failed: func(consumer string, err error) { t.Errorf("%s failed: %v", consumer, err) },
				}))
			require.NoError(t, engine.Submit(t.Context(), order("A")))
			wait(t, engine)
			stop()

			requireDelivered(t, store, "A")
			steps := fulfilment.Consumers()[:receivers-1]
			assert.ElementsMatch(t, steps, crashed)
			assert.ElementsMatch(t, steps, redelivered)
			assert.ElementsMatch(t, slices.Concat(steps, fulfilment.Consumers()), streamer.receivers)
			assert.Zero(t, streamer.open, "no sender or receiver is left open")
		})
	}
}

func TestEventSentTwiceIsDoneOnce(t *testing.T) {
	for n := range receivers {
		t.Run(fulfilment.Status(n+1).String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := fulfilment.NewMemoryStore()
				var received, finished atomic.Int64
				engine, _ := start(t, newStreamer(), &failingStore{store, nth(int64(n+1), "DeleteOutboxEvent")},
					fulfilment.WithHooks(fulfilment.Hooks{
						Received: func(_ string, _ *fulfilment.Event, redelivered bool) {
							assert.False(t, redelivered, "sent twice, it is another event")
							received.Add(1)
						},
						Finished: func(string) { finished.Add(1) },
					}))
				require.NoError(t, engine.Submit(t.Context(), order("A")))
				wait(t, engine)
				time.Sleep(time.Second)
				requireDelivered(t, store, "A")
				assert.EqualValues(t, receivers+1, received.Load())
				assert.EqualValues(t, 1, finished.Load())
			})
		})
	}
}

// An engine is stopped at each step, before the step is saved and before its
// event is acked; the next one on the same streamer and store goes on.
func TestNextEngineGoesOn(t *testing.T) {
	for _, step := range fulfilment.Consumers()[:receivers-1] {
		for _, saved := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s saved=%t", step, saved), func(t *testing.T) {
				streamer, store := newStreamer(), fulfilment.NewMemoryStore()
				reached := make(chan struct{})
				stopped := make(chan struct{})
				die := func(consumer string) {
					if consumer == step {
						close(reached)
						<-stopped
						panic("killed")
					}
				}
				faults := fulfilment.Faults{BeforeStep: func(consumer string, _ fulfilment.Record) error {
					die(consumer)
					return nil
				}}
				if saved {
					faults = fulfilment.Faults{BeforeAck: func(consumer string, _ fulfilment.Record) { die(consumer) }}
				}
				engine, err := fulfilment.New(t.Context(), streamer, store, fulfilment.WithFaults(faults))
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { engine.Run(ctx) })
				require.NoError(t, engine.Submit(t.Context(), order("A")))
				<-reached
				cancel()
				close(stopped)
				running.Wait()

				// Past the step, the order may have gone on to its end.
				left, err := store.Unfinished(t.Context())
				require.NoError(t, err)
				var finished atomic.Int64
				engine, stop := start(t, streamer, store, fulfilment.WithHooks(fulfilment.Hooks{
					Finished: func(orderID string) {
						assert.Equal(t, "A", orderID)
						finished.Add(1)
					},
				}))
				assert.ErrorIs(t, engine.Submit(t.Context(), order("A")), fulfilment.ErrDuplicate)
				wait(t, engine)
				stop()
				requireDelivered(t, store, "A")
				assert.EqualValues(t, len(left), finished.Load())
				if !saved {
					assert.Len(t, left, 1)
				}
			})
		}
	}
}

func TestOutboxOfAnEngineThatNeverRanIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streamer, store := newStreamer(), fulfilment.NewMemoryStore()
		engine, err := fulfilment.New(t.Context(), streamer, store)
		require.NoError(t, err)
		for i := range 100 {
			require.NoError(t, engine.Submit(t.Context(), order(fmt.Sprint(i))))
		}

		engine, _ = start(t, streamer, store)
		wait(t, engine)
		synctest.Wait()
		for i := range 100 {
			requireDelivered(t, store, fmt.Sprint(i))
		}
		left, err := store.Outbox(t.Context(), 1)
		require.NoError(t, err)
		assert.Empty(t, left, "what was sent is deleted")
	})
}

func TestRunAgainGoesOn(t *testing.T) {
	engine, err := fulfilment.New(t.Context(), newStreamer(), fulfilment.NewMemoryStore())
	require.NoError(t, err)
	for _, id := range []string{"A", "B"} {
		require.NoError(t, engine.Submit(t.Context(), order(id)))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { engine.Run(ctx) })
		wait(t, engine)
		cancel()
		running.Wait()
	}
}

func TestSubmitRefuses(t *testing.T) {
	store := fulfilment.NewMemoryStore()
	engine, _ := start(t, newStreamer(), store)
	assert.EqualError(t, engine.Submit(t.Context(), fulfilment.Order{ID: "A", Item: "x"}), "quantity must be 1 or more, not 0")
	require.NoError(t, engine.Submit(t.Context(), order("A")))
	assert.ErrorIs(t, engine.Submit(t.Context(), order("A")), fulfilment.ErrDuplicate)
	wait(t, engine)
	assert.ErrorIs(t, engine.Submit(t.Context(), order("A")), fulfilment.ErrDuplicate)
	wait(t, engine)
	requireDelivered(t, store, "A")
}

func TestSubmitOfOneOrderByManyIsAcceptedOnce(t *testing.T) {
	store := fulfilment.NewMemoryStore()
	engine, _ := start(t, newStreamer(), store)
	var accepted atomic.Int64
	var submitting sync.WaitGroup
	for range 16 {
		submitting.Go(func() {
			switch err := engine.Submit(t.Context(), order("A")); {
			case err == nil:
				accepted.Add(1)
			case !errors.Is(err, fulfilment.ErrDuplicate):
				t.Error(err)
			}
		})
	}
	submitting.Wait()
	wait(t, engine)
	assert.EqualValues(t, 1, accepted.Load())
	requireDelivered(t, store, "A")
}

// The first of two calls with one order takes long, and whichever of them is
// refused, Wait knows that there is an order to wait for.
func TestSubmitThatIsRefusedEndsNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow sync.Once
		store := &failingStore{fulfilment.NewMemoryStore(), func(method string) error {
			if method == "Save" {
				slow.Do(func() { time.Sleep(time.Minute) })
			}
			return nil
		}}
		engine, err := fulfilment.New(t.Context(), newStreamer(), store)
		require.NoError(t, err)
		var errs [2]error
		var submitting sync.WaitGroup
		for i := range errs {
			submitting.Go(func() { errs[i] = engine.Submit(t.Context(), order("A")) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		assert.ErrorIs(t, engine.Submit(ctx, order("B")), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began))

		submitting.Wait()
		assert.ElementsMatch(t, []error{nil, fulfilment.ErrDuplicate}, errs[:])
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, engine.Wait(ctx), context.DeadlineExceeded)
	})
}

func TestSubmitThatFailsAcceptsNothing(t *testing.T) {
	engine, _ := start(t, newStreamer(), &failingStore{Store: fulfilment.NewMemoryStore(), fail: nth(1, "Save")})
	assert.ErrorIs(t, engine.Submit(t.Context(), order("A")), errTest)
	wait(t, engine)
	require.NoError(t, engine.Submit(t.Context(), order("A")))
	wait(t, engine)
}

func TestNewFailsWithItsStore(t *testing.T) {
	_, err := fulfilment.New(t.Context(), newStreamer(), &failingStore{Store: fulfilment.NewMemoryStore(), fail: nth(1, "Unfinished")})
	assert.ErrorIs(t, err, errTest)
}

// Whatever fails once, of the store or of the streamer, is reported and tried
// again, and every step has its effect once.
func TestWhatFailsIsTriedAgain(t *testing.T) {
	for _, method := range []string{"Load", "Save", "Outbox", "DeleteOutboxEvent", "NewSender", "NewReceiver", "Send", "Recv", "Ack"} {
		t.Run(method, func(t *testing.T) {
			store := fulfilment.NewMemoryStore()
			var failed atomic.Int64
			fail := nth(1, method)
			engine, err := fulfilment.New(t.Context(), newStreamer(), store)
			require.NoError(t, err)
			require.NoError(t, engine.Submit(t.Context(), order("A")))

			engine, stop := start(t, &failingStreamer{newStreamer(), fail}, &failingStore{store, fail},
				fulfilment.WithHooks(fulfilment.Hooks{Failed: func(_ string, err error) {
					assert.ErrorIs(t, err, errTest)
					failed.Add(1)
				}}))
			wait(t, engine)
			stop()
			requireDelivered(t, store, "A")
			assert.EqualValues(t, 1, failed.Load())
		})
	}
}

// What fails for good is tried ever more slowly, and does not spin.
func TestWhatFailsForGoodDoesNotSpin(t *testing.T) {
	for name, test := range map[string]struct {
		fail   string
		faults fulfilment.Faults
	}{
		"receiver": {fail: "NewReceiver"},
		"recv":     {fail: "Recv"},
		"ack":      {fail: "Ack"},
		"sender":   {fail: "NewSender"},
		"send":     {fail: "Send"},
		"outbox":   {fail: "Outbox"},
		"load":     {fail: "Load"},
		"step":     {faults: fulfilment.Faults{BeforeStep: func(string, fulfilment.Record) error { return errTest }}},
		"crash":    {faults: fulfilment.Faults{BeforeStep: func(string, fulfilment.Record) error { panic(errTest) }}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var failed sync.Map // consumer to *atomic.Int64
				count := func(consumer string) {
					n, _ := failed.LoadOrStore(consumer, new(atomic.Int64))
					n.(*atomic.Int64).Add(1)
				}
				fail := always(test.fail)
				store := &failingStore{fulfilment.NewMemoryStore(), fail}
				engine, _ := start(t, &failingStreamer{newStreamer(), fail}, store,
					fulfilment.WithFaults(test.faults),
					fulfilment.WithHooks(fulfilment.Hooks{
						Failed:  func(consumer string, _ error) { count(consumer) },
						Crashed: func(consumer string, _ any, _ []byte) { count(consumer) },
					}))
				require.NoError(t, engine.Submit(t.Context(), order("A")))
				time.Sleep(time.Minute)
				synctest.Wait()
				consumers := 0
				failed.Range(func(consumer, n any) bool {
					consumers++
					// Fourteen pauses take the first 1.6 s, and then each takes one.
					assert.EqualValues(t, 14+59, n.(*atomic.Int64).Load(), consumer)
					return true
				})
				assert.Positive(t, consumers)
			})
		})
	}
}

// A relay that had to pause a while ago starts anew with the shortest pause.
func TestRelayPausesAnewAfterSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		var failures []time.Time
		streamer := &failingStreamer{newStreamer(), func(method string) error {
			if method == "Send" && failing.Load() {
				failures = append(failures, time.Now())
				return errTest
			}
			return nil
		}}
		engine, _ := start(t, streamer, fulfilment.NewMemoryStore())
		for _, id := range []string{"A", "B"} {
			failures = nil
			failing.Store(true)
			require.NoError(t, engine.Submit(t.Context(), order(id)))
			time.Sleep(time.Second)
			failing.Store(false)
			wait(t, engine)
			require.Greater(t, len(failures), 2)
			assert.Equal(t, 100*time.Microsecond, failures[1].Sub(failures[0]))
		}
	})
}

// An event that makes no sense is reported, and holds up its topic, since there
// is nothing better to do with it; it does not make the consumer spin.
func TestEventThatMakesNoSenseIsReported(t *testing.T) {
	for name, test := range map[string]struct {
		headers map[fulfilment.Header]string
		want    string
	}{
		"no run":      {nil, "event 1 has no header run_id"},
		"no version":  {map[fulfilment.Header]string{"run_id": "r"}, `event 1: header record_version: strconv.Atoi: parsing "": invalid syntax`},
		"unknown run": {map[fulfilment.Header]string{"run_id": "r", "record_version": "1"}, "load r: fulfilment: no such run"},
		"version ahead": {map[fulfilment.Header]string{"run_id": "fulfilment/shipped", "record_version": "9"},
			"fulfilment/shipped is shipped at version 1, and not shipped at version 9 as its event says"},
		"status of another step": {map[fulfilment.Header]string{"run_id": "fulfilment/placed", "record_version": "1"},
			"fulfilment/placed is placed at version 1, and not shipped at version 1 as its event says"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				streamer, store := newStreamer(), fulfilment.NewMemoryStore()
				sender, err := streamer.NewSender(t.Context(), fulfilment.Shipped.Topic())
				require.NoError(t, err)
				require.NoError(t, sender.Send(t.Context(), "x", int(fulfilment.Shipped), test.headers))
				for _, status := range []fulfilment.Status{fulfilment.Placed, fulfilment.Shipped} {
					record := fulfilment.Record{RunID: fulfilment.RunID(status.String()), Status: status, Version: 1}
					require.NoError(t, store.Save(t.Context(), record, fulfilment.OutboxEvent{
						Headers: map[fulfilment.Header]string{"topic": "elsewhere"},
					}))
				}

				var mu sync.Mutex
				var failures []string
				start(t, streamer, store, fulfilment.WithHooks(fulfilment.Hooks{Failed: func(consumer string, err error) {
					mu.Lock()
					defer mu.Unlock()
					failures = append(failures, consumer+": "+err.Error())
				}}))
				time.Sleep(10 * time.Second)
				mu.Lock()
				defer mu.Unlock()
				require.NotEmpty(t, failures)
				assert.Equal(t, "deliver: "+test.want, failures[0])
				assert.Less(t, len(failures), 30)
			})
		})
	}
}

// Faults at every turn, and many who submit at once.
func TestEveryOrderIsDeliveredOnce(t *testing.T) {
	const submitters, each = 4, 100
	store := fulfilment.NewMemoryStore()
	var tries, saves, finished, redelivered, failed, crashed atomic.Int64
	engine, stop := start(t, newStreamer(), store,
		fulfilment.WithFaults(fulfilment.Faults{
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
		}),
		fulfilment.WithHooks(fulfilment.Hooks{
			Received: func(_ string, _ *fulfilment.Event, again bool) {
				if again {
					redelivered.Add(1)
				}
			},
			Failed:   func(string, error) { failed.Add(1) },
			Crashed:  func(string, any, []byte) { crashed.Add(1) },
			Finished: func(string) { finished.Add(1) },
		}))
	var submitting sync.WaitGroup
	for i := range submitters {
		submitting.Go(func() {
			for j := range each {
				if err := engine.Submit(t.Context(), order(fmt.Sprintf("%d-%d", i, j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	submitting.Wait()
	wait(t, engine)
	stop()

	for i := range submitters {
		for j := range each {
			requireDelivered(t, store, fmt.Sprintf("%d-%d", i, j))
		}
	}
	assert.EqualValues(t, submitters*each, finished.Load())
	assert.Positive(t, failed.Load())
	assert.Positive(t, crashed.Load())
	assert.Equal(t, failed.Load()+crashed.Load(), redelivered.Load())
}
