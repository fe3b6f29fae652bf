package memstreamer_test

import (
	"context"
	"fmt"
	"runtime"
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
	"github.com/memstreamer/memstreamer/internal/enginetest"
	"github.com/memstreamer/memstreamer/streamertest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestContract(t *testing.T) {
	for name, newStreamer := range map[string]func() memstreamer.EventStreamer{
		"direct":    func() memstreamer.EventStreamer { return memstreamer.New() },
		"retention": func() memstreamer.EventStreamer { return memstreamer.New(memstreamer.WithRetention(time.Hour)) },
		"As": func() memstreamer.EventStreamer {
			return enginetest.Through(memstreamer.New())
		},
		"As of another EventStreamer": func() memstreamer.EventStreamer {
			return enginetest.Through(foreign{memstreamer.New()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			streamertest.Run(t, func(*testing.T) memstreamer.EventStreamer { return newStreamer() }, streamertest.InMemory())
		})
	}
}

func newSender(t testing.TB, s memstreamer.EventStreamer, topic string) memstreamer.EventSender {
	t.Helper()
	sender, err := s.NewSender(t.Context(), topic)
	require.NoError(t, err)
	return sender
}

func newReceiver(t testing.TB, s memstreamer.EventStreamer, topic, name string, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
	t.Helper()
	receiver, err := s.NewReceiver(t.Context(), topic, name, opts...)
	require.NoError(t, err)
	return receiver
}

func send(t testing.TB, s memstreamer.EventSender, foreignID string) {
	t.Helper()
	require.NoError(t, s.Send(t.Context(), foreignID, 1, nil))
}

// recv receives and acks one event. It fails where there is none, in time.
func recv(t testing.TB, r memstreamer.EventReceiver) *memstreamer.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	event, ack, err := r.Recv(ctx)
	require.NoError(t, err)
	require.NoError(t, ack())
	return event
}

// requireNothing asserts that a Recv waits.
func requireNothing(t testing.TB, r memstreamer.EventReceiver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	event, _, err := r.Recv(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded, "event %v", event)
}

// startReceivers has n goroutines each call Recv, on topics and names of their
// own, and returns what ends and joins them.
func startReceivers(t *testing.T, s memstreamer.EventStreamer, n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var receivers sync.WaitGroup
	for i := range n {
		r := newReceiver(t, s, fmt.Sprintf("topic-%d", i), "step")
		receivers.Go(func() {
			_, _, err := r.Recv(ctx)
			if err != context.Canceled {
				t.Errorf("Recv returned %v", err)
			}
		})
	}
	return func() {
		cancel()
		receivers.Wait()
	}
}

// requireGoroutines asserts that there are no more goroutines than n, so no
// watcher among them. There are fewer if one of the test runner's, counted before,
// has ended meanwhile. One that has just returned is counted for a moment more, on
// a busy machine for a time slice of its thread. In a bubble, only turns can be
// waited for.
func requireGoroutines(t testing.TB, n int) {
	t.Helper()
	for range 5_000_000 {
		if runtime.NumGoroutine() <= n {
			return
		}
		runtime.Gosched()
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), n, "a goroutine runs beside the receivers")
}

// Eight idle step consumers of an adapter that polls once held a laptop at
// 380% CPU. Here they are parked, and nothing runs beside them.
func TestIdleReceiversAreDurablyBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		stop := startReceivers(t, memstreamer.New(), 8)
		synctest.Wait() // returns only when every goroutine is blocked for good
		requireGoroutines(t, before+8)
		stop()
		synctest.Wait()
		requireGoroutines(t, before)
	})
}

// A Recv that returns has ended its watcher also when an event came first.
func TestWatcherEndsWithRecv(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstreamer.New()
		r := newReceiver(t, s, "orders", "step")
		ctx := &countingContext{Context: t.Context()}
		got := make(chan error, 1)
		go func() {
			_, _, err := r.Recv(ctx)
			got <- err
		}()
		synctest.Wait()
		require.EqualValues(t, 1, ctx.watchers.Load())
		send(t, newSender(t, s, "orders"), "7")
		require.NoError(t, <-got)
		require.EqualValues(t, 0, ctx.watchers.Load())
	})
}

// A Recv that finds an event starts nothing.
func TestRecvOfABacklogSetsNoWatcher(t *testing.T) {
	s := memstreamer.New()
	send(t, newSender(t, s, "orders"), "7")
	ctx := &countingContext{Context: t.Context()}
	_, _, err := newReceiver(t, s, "orders", "step").Recv(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 0, ctx.registered.Load())
}

// countingContext counts what context.AfterFunc registers with it. It is never
// done; with a Done of its own, it is not taken for the context that it wraps.
type countingContext struct {
	context.Context
	registered, watchers atomic.Int64
}

func (c *countingContext) Done() <-chan struct{} { return make(chan struct{}) }

func (c *countingContext) AfterFunc(f func()) func() bool {
	c.registered.Add(1)
	c.watchers.Add(1)
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		c.watchers.Add(-1)
		return stop()
	}
}

// A context that ended before a Send or a Close comes first, though the watcher
// may not have run when those wake the receiver.
func TestEndedContextComesBeforeWhatFollowed(t *testing.T) {
	for name, wake := range map[string]func(t *testing.T, s *memstreamer.StreamConstructor, sender memstreamer.EventSender){
		"Send": func(t *testing.T, _ *memstreamer.StreamConstructor, sender memstreamer.EventSender) {
			send(t, sender, "7")
		},
		"Close": func(t *testing.T, s *memstreamer.StreamConstructor, _ memstreamer.EventSender) {
			require.NoError(t, s.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				synctest.Test(t, func(t *testing.T) {
					s := memstreamer.New()
					sender, r := newSender(t, s, "orders"), newReceiver(t, s, "orders", "step")
					ctx, cancel := context.WithCancel(t.Context())
					got := make(chan error, 1)
					go func() {
						_, _, err := r.Recv(ctx)
						got <- err
					}()
					synctest.Wait()
					cancel()
					wake(t, s, sender)
					require.Equal(t, context.Canceled, <-got)
					require.Zero(t, s.Stats().Receivers[0].Deliveries, "it returned none")
				})
			}
		})
	}
}

// User code runs without the lock: a context, a clock or an option that uses the
// streamer would hang otherwise. With retention, every call reads the clock.
func TestUserCodeMayUseTheStreamer(t *testing.T) {
	for _, retention := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var s *memstreamer.StreamConstructor
			using := false
			use := func() {
				if s != nil && !using {
					using = true
					require.NoError(t, newSender(t, s, "other").Close())
					using = false
				}
			}
			s = memstreamer.New(memstreamer.WithRetention(retention), memstreamer.WithClock(clockFunc(func() time.Time {
				use()
				return time.Now()
			})))
			sender := newSender(t, s, "orders")
			r := newReceiver(t, s, "orders", "step", func(*memstreamer.ReceiverOptions) { use() })
			requireNothing(t, r)
			send(t, sender, "7")
			_, ack, err := r.Recv(reentrant{t.Context(), use})
			require.NoError(t, err)
			require.NoError(t, ack())

			ctx, cancel := context.WithCancel(t.Context())
			var parked sync.WaitGroup
			parked.Go(func() {
				_, _, err := r.Recv(reentrant{ctx, func() {}})
				assert.Equal(t, context.Canceled, err)
			})
			synctest.Wait()
			cancel()
			parked.Wait()
			s.Stats()
			require.NoError(t, r.Close())
			require.NoError(t, s.Forget(reentrant{t.Context(), use}, "orders", "step"))
			require.NoError(t, sender.Close())
			require.NoError(t, s.Close())
		})
	}
}

// A Recv that parks runs code of its context too: Done, AfterFunc and what that
// returns.
func TestParkedContextMayUseTheStreamer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstreamer.New()
		sender, r := newSender(t, s, "orders"), newReceiver(t, s, "orders", "step")
		got := make(chan error, 1)
		go func() {
			_, _, err := r.Recv(usingContext{t.Context(), func() { s.Stats() }})
			got <- err
		}()
		synctest.Wait()
		send(t, sender, "7")
		require.NoError(t, <-got)
	})
}

// usingContext is never done. With a Done of its own, it is not taken for the
// context that it wraps.
type usingContext struct {
	context.Context
	use func()
}

func (c usingContext) Done() <-chan struct{} {
	c.use()
	return make(chan struct{})
}

func (c usingContext) AfterFunc(f func()) func() bool {
	c.use()
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		c.use()
		return stop()
	}
}

type clockFunc func() time.Time

func (f clockFunc) Now() time.Time { return f() }

// reentrant is a context all of whose methods call use.
type reentrant struct {
	context.Context
	use func()
}

func (c reentrant) Done() <-chan struct{} { c.use(); return c.Context.Done() }
func (c reentrant) Err() error            { c.use(); return c.Context.Err() }
func (c reentrant) Value(key any) any     { c.use(); return c.Context.Value(key) }

// A name is part of the log for long, and may be a small part of something large.
func TestNamesAreClones(t *testing.T) {
	s := memstreamer.New()
	large := strings.Repeat("x", 1000) + "orders step"
	topic, name := large[1000:1006], large[1007:]
	newReceiver(t, s, topic, name)
	require.False(t, s.SharesNames(topic, name))

	s = memstreamer.New()
	headers := map[memstreamer.Header]string{memstreamer.HeaderTopic: topic}
	require.NoError(t, newSender(t, s, "other").Send(t.Context(), "7", 1, headers))
	newReceiver(t, s, "orders", "step")
	require.False(t, s.SharesNames(topic, name))
}

func TestSendDoesNotAllocate(t *testing.T) {
	sender := newSender(t, memstreamer.New(), "orders")
	headers := map[memstreamer.Header]string{memstreamer.HeaderTopic: "orders", memstreamer.HeaderRunID: "0198c6a1-7f0e-7d1a-a5b4-7a0c9d3f1e52"}
	// A chunk and a segment now and then are less than one allocation a Send.
	require.Zero(t, testing.AllocsPerRun(10_000, func() { _ = sender.Send(t.Context(), "7", 1, headers) }))
}

func TestZeroValuesSayWhatToUse(t *testing.T) {
	for _, s := range []*memstreamer.StreamConstructor{nil, {}} {
		for _, call := range []func(){
			func() { _, _ = s.NewSender(t.Context(), "orders") },
			func() { _, _ = s.NewReceiver(t.Context(), "orders", "step") },
			func() { _ = s.Forget(t.Context(), "orders", "step") },
			func() { s.Stats() },
			func() { s.Journal() },
			func() { _ = s.Close() },
		} {
			require.PanicsWithValue(t, "memstreamer: a nil or zero StreamConstructor is not usable: make one with New", call)
		}
	}
	for _, c := range []*memstreamer.Connector{nil, {}} {
		for _, call := range []func(){
			func() { _ = c.Append() },
			func() { _, _ = c.Make(t.Context(), "step") },
			func() { c.Stats() },
			func() { _ = c.Close() },
		} {
			require.PanicsWithValue(t, "memstreamer: a nil or zero Connector is not usable: make one with NewConnector", call)
		}
	}
}

// Without retention, only Send needs the time.
func TestTheClockIsReadForSendAlone(t *testing.T) {
	reads := 0
	s := memstreamer.New(memstreamer.WithClock(clockFunc(func() time.Time {
		reads++
		return time.Now()
	})))
	sender, r := newSender(t, s, "orders"), newReceiver(t, s, "orders", "step")
	reads = 0
	send(t, sender, "7")
	require.Equal(t, 1, reads)
	recv(t, r)
	require.NoError(t, r.Close())
	require.NoError(t, sender.Close())
	s.Stats()
	require.Equal(t, 1, reads)
}

func TestNewRefuses(t *testing.T) {
	for message, opts := range map[string][]memstreamer.Option{
		": WithRetention(-1s): the period must not be negative; 0 keeps everything": {memstreamer.WithRetention(-time.Second)},
		": option 2 of 2 is nil":            {memstreamer.WithClock(clockFunc(time.Now)), nil},
		": WithClock was given a nil clock": {memstreamer.WithClock(nil)},
	} {
		require.PanicsWithValue(t, "memstreamer: New"+message, func() { memstreamer.New(opts...) })
		require.PanicsWithValue(t, "memstreamer: NewConnector"+message, func() {
			memstreamer.NewConnector([]memstreamer.ConnectorEvent(nil), opts...)
		})
	}
}

func TestResolveReceiverOptions(t *testing.T) {
	o, err := memstreamer.ResolveReceiverOptions()
	require.NoError(t, err)
	require.Zero(t, o)
	o, err = memstreamer.ResolveReceiverOptions(memstreamer.StreamFromLatest(), memstreamer.WithReceiverPollFrequency(time.Second))
	require.NoError(t, err)
	require.Equal(t, memstreamer.ReceiverOptions{PollFrequency: time.Second, StreamFromLatest: true}, o)
	_, err = memstreamer.ResolveReceiverOptions(memstreamer.StreamFromLatest(), nil, nil)
	require.EqualError(t, err, "option 2 of 3 is nil")
	o, err = memstreamer.ResolveReceiverOptions(memstreamer.StreamFromLast(time.Minute), memstreamer.Ephemeral())
	require.NoError(t, err)
	require.Equal(t, memstreamer.ReceiverOptions{StreamFromLast: time.Minute, Ephemeral: true}, o)
	for _, d := range []time.Duration{0, -time.Second} {
		_, err = memstreamer.ResolveReceiverOptions(memstreamer.Ephemeral(), memstreamer.StreamFromLast(d), memstreamer.StreamFromLast(time.Second))
		require.EqualError(t, err, fmt.Sprintf("option 2 of 3: StreamFromLast(%v): the duration must be positive", d))
	}
	_, err = memstreamer.ResolveReceiverOptions(func(o *memstreamer.ReceiverOptions) { o.StreamFromLast = -1 })
	require.EqualError(t, err, "option 1 of 1: StreamFromLast is -1ns: it must not be negative")
}

func TestRefusalsSayWhich(t *testing.T) {
	s := memstreamer.New()
	_, err := s.NewSender(t.Context(), "")
	require.EqualError(t, err, "memstreamer: NewSender: topic is empty")
	_, err = s.NewReceiver(t.Context(), "", "step")
	require.EqualError(t, err, "memstreamer: NewReceiver: topic is empty")
	_, err = s.NewReceiver(t.Context(), "orders", "")
	require.EqualError(t, err, "memstreamer: NewReceiver: name is empty")
	_, err = s.NewReceiver(t.Context(), "orders", "step", memstreamer.StreamFromLatest(), nil)
	require.EqualError(t, err, "memstreamer: NewReceiver: option 2 of 2 is nil")
	_, err = s.NewReceiver(t.Context(), "orders", "step", memstreamer.StreamFromLast(-1))
	require.EqualError(t, err, "memstreamer: NewReceiver: option 1 of 1: StreamFromLast(-1ns): the duration must be positive")
	require.EqualError(t, s.Forget(t.Context(), "", "step"), "memstreamer: Forget: topic is empty")
	require.EqualError(t, s.Forget(t.Context(), "orders", ""), "memstreamer: Forget: name is empty")
	newReceiver(t, s, "orders", "step")
	require.EqualError(t, s.Forget(t.Context(), "orders", "step"), `memstreamer: Forget: a receiver of topic "orders" and name "step" is open: close it first`)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, s.Forget(done, "orders", "step"))
	_, err = memstreamer.NewConnector([]memstreamer.ConnectorEvent(nil)).Make(t.Context(), "")
	require.EqualError(t, err, "memstreamer: Make: consumerName is empty")
}

// An ErrClosed says what was closed.
func TestClosedErrorsSayWhat(t *testing.T) {
	s := memstreamer.New()
	sender, r := newSender(t, s, "orders"), newReceiver(t, s, "orders", "step")
	require.NoError(t, sender.Close())
	require.NoError(t, r.Close())
	closed := func(err error, what string) {
		t.Helper()
		require.ErrorIs(t, err, memstreamer.ErrClosed)
		require.EqualError(t, err, "memstreamer: closed: "+what)
	}
	_, _, recvErr := r.Recv(t.Context())
	closed(recvErr, `the receiver of topic "orders" and name "step"`)
	closed(sender.Send(t.Context(), "7", 1, nil), `the sender of topic "orders"`)

	require.NoError(t, s.Close())
	_, _, recvErr = r.Recv(t.Context())
	closed(recvErr, "the streamer")
	closed(sender.Send(t.Context(), "7", 1, nil), "the streamer")
	closed(s.Forget(t.Context(), "orders", "step"), "the streamer")
	_, err := s.NewSender(t.Context(), "orders")
	closed(err, "the streamer")
	_, err = s.NewReceiver(t.Context(), "orders", "step")
	closed(err, "the streamer")

	c := memstreamer.NewConnector([]memstreamer.ConnectorEvent(nil))
	require.NoError(t, c.Close())
	closed(c.Append(), "the connector")
	_, err = c.Make(t.Context(), "step")
	closed(err, "the connector")

	c = memstreamer.NewConnector([]memstreamer.ConnectorEvent(nil))
	one, other := newConsumer(t, c, "one"), newConsumer(t, c, "other")
	require.NoError(t, one.Close())
	_, _, recvErr = one.Recv(t.Context())
	closed(recvErr, `the receiver of topic "connector" and name "one"`)
	require.NoError(t, c.Close())
	_, _, recvErr = other.Recv(t.Context())
	closed(recvErr, "the connector")
}
