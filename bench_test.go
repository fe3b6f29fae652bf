package memstreamer_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/baseline"
	"github.com/memstreamer/memstreamer/internal/cputime"
	"github.com/memstreamer/memstreamer/internal/enginetest"
)

// benchTopic is the topic of the benchmarks that need one.
const benchTopic = "order-fulfilment-3"

func newOurs() memstreamer.EventStreamer { return memstreamer.New() }

// beside runs a benchmark on this package's streamer and on the plain parking
// one that it is compared with.
func beside(b *testing.B, run func(b *testing.B, newStreamer func() memstreamer.EventStreamer)) {
	b.Run("ours", func(b *testing.B) { run(b, newOurs) })
	b.Run("plain", func(b *testing.B) { run(b, baseline.NewParking) })
}

// BenchmarkIdle waits: an operation is a fixed window of wall-clock time in
// which every receiver waits for an event. The figure to read is cores, the
// processor time of the process over that window; that of park/0 is the floor.
func BenchmarkIdle(b *testing.B) {
	const window = 500 * time.Millisecond
	run := func(b *testing.B, s memstreamer.EventStreamer, receivers int, settle func(b *testing.B)) {
		defer benchWaiting(b, s, receivers)()
		settle(b)
		b.ReportAllocs()
		used := cputime.Process()
		for b.Loop() {
			time.Sleep(window)
		}
		b.ReportMetric(float64(cputime.Process()-used)/float64(b.Elapsed()), "cores")
	}
	for _, receivers := range []int{0, 1, 8, 100, 10_000} {
		b.Run(fmt.Sprintf("park/%d", receivers), func(b *testing.B) {
			run(b, newOurs(), receivers, waitForParked)
		})
	}
	for _, receivers := range []int{1, 2, 8, 100} {
		b.Run(fmt.Sprintf("spin/%d", receivers), func(b *testing.B) {
			run(b, baseline.NewPolling(), receivers, func(*testing.B) {})
		})
	}
}

// BenchmarkHandoff passes an event there and back: Send on one topic, a parked
// receiver takes, acks and sends on a second topic, a parked receiver takes and
// acks. The bare ping-pong of two goroutines over sync.Cond is the floor.
func BenchmarkHandoff(b *testing.B) {
	beside(b, func(b *testing.B, newStreamer func() memstreamer.EventStreamer) {
		handoff(b, newStreamer())
	})
	b.Run("as", func(b *testing.B) {
		s := memstreamer.As[enginetest.EventStreamer](memstreamer.New())
		open := func(topic string) route[enginetest.Header, enginetest.Event, enginetest.Ack] {
			sender, err := s.NewSender(b.Context(), topic)
			failOn(b, err)
			receiver, err := s.NewReceiver(b.Context(), topic, "n")
			failOn(b, err)
			return route[enginetest.Header, enginetest.Event, enginetest.Ack]{topic, sender, receiver}
		}
		handoffBetween(b, open("there"), open("back"))
	})
	b.Run("cond", func(b *testing.B) {
		var mu sync.Mutex
		there, back := sync.NewCond(&mu), sync.NewCond(&mu)
		var sent, answered int
		const end = -1
		var echo sync.WaitGroup
		echo.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for {
				for sent == answered {
					there.Wait()
				}
				if sent == end {
					return
				}
				answered = sent
				back.Signal()
			}
		})
		b.ReportAllocs()
		mu.Lock()
		for b.Loop() {
			sent++
			there.Signal()
			for answered != sent {
				back.Wait()
			}
		}
		sent = end
		there.Signal()
		mu.Unlock()
		echo.Wait()
	})
}

// BenchmarkHandoffBesideIdle is BenchmarkHandoff beside receivers that are
// parked on other topics.
func BenchmarkHandoffBesideIdle(b *testing.B) {
	run := func(b *testing.B, newStreamer func() memstreamer.EventStreamer) {
		for _, idle := range []int{0, 100, 10_000} {
			b.Run(strconv.Itoa(idle), func(b *testing.B) {
				s := newStreamer()
				defer benchWaiting(b, s, idle)()
				waitForParked(b)
				handoff(b, s)
			})
		}
	}
	run(b, newOurs)
	b.Run("plain", func(b *testing.B) { run(b, baseline.NewParking) })
}

// BenchmarkRecv takes and acks the events of a backlog.
func BenchmarkRecv(b *testing.B) {
	const backlog = 100_000
	beside(b, func(b *testing.B, newStreamer func() memstreamer.EventStreamer) {
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		s := newStreamer()
		sender := benchSender(b, s, benchTopic)
		for n := range backlog {
			failOn(b, benchSend(ctx, sender, benchTopic, n))
		}
		runtime.GC()
		receiver := benchReceiver(b, s, benchTopic, "0")
		b.ReportAllocs()
		for n := 1; b.Loop(); n++ {
			_, ack, err := receiver.Recv(ctx)
			failOn(b, err)
			failOn(b, ack())
			if n%backlog == 0 {
				receiver = benchReceiver(b, s, benchTopic, strconv.Itoa(n))
			}
		}
	})
}

// BenchmarkSend sends, with no receiver waiting.
func BenchmarkSend(b *testing.B) {
	// A streamer is given up after so many events, to bound what a long run
	// keeps.
	const perStreamer = 100_000
	beside(b, func(b *testing.B, newStreamer func() memstreamer.EventStreamer) {
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		sender := benchSender(b, newStreamer(), benchTopic)
		b.ReportAllocs()
		for n := 1; b.Loop(); n++ {
			failOn(b, benchSend(ctx, sender, benchTopic, n))
			if n%perStreamer == 0 {
				sender = benchSender(b, newStreamer(), benchTopic)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		const perProc = 4
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		var shared atomic.Value
		shared.Store(benchSender(b, newOurs(), benchTopic))
		b.ReportAllocs()
		b.SetParallelism(perProc)
		b.RunParallel(func(pb *testing.PB) {
			for n := 1; pb.Next(); n++ {
				sender := shared.Load().(memstreamer.EventSender)
				if err := benchSend(ctx, sender, benchTopic, n); err != nil {
					b.Error(err)
					return
				}
				if n%(perStreamer/perProc) == 0 {
					sender, err := newOurs().NewSender(ctx, benchTopic)
					if err != nil {
						b.Error(err)
						return
					}
					shared.Store(sender)
				}
			}
		})
	})
}

// BenchmarkSendFanout sends an event to parked receivers of its topic, and ends
// when each of them has taken and acked it.
func BenchmarkSendFanout(b *testing.B) {
	for _, receivers := range []int{1, 8, 64} {
		b.Run(strconv.Itoa(receivers), func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			s := newOurs()
			var took, done sync.WaitGroup
			for i := range receivers {
				r := benchReceiver(b, s, benchTopic, strconv.Itoa(i))
				done.Go(func() {
					for {
						_, ack, err := r.Recv(ctx)
						if ctx.Err() != nil {
							return
						}
						if err != nil {
							panic(err) // took would never be done
						}
						_ = ack()
						took.Done()
					}
				})
			}
			defer done.Wait()
			defer cancel()
			waitForParked(b)
			sender := benchSender(b, s, benchTopic)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				took.Add(receivers)
				failOn(b, benchSend(ctx, sender, benchTopic, n))
				took.Wait()
			}
		})
	}
}

// BenchmarkSparseTopic takes the first event of one topic among that many, in a
// log of a million events spread over them evenly. The receiver is of a fresh
// name each time, so that no cursor is near.
func BenchmarkSparseTopic(b *testing.B) {
	const events = 1_000_000
	for _, topics := range []int{1, 1000} {
		b.Run(strconv.Itoa(topics), func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			s := newOurs()
			sender := benchSender(b, s, benchTopic)
			var topic string
			for n := range events {
				topic = "topic-" + strconv.Itoa(n%topics)
				failOn(b, benchSend(ctx, sender, topic, n))
			}
			receivers := make([]memstreamer.EventReceiver, 1000)
			runtime.GC()
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%len(receivers) == 0 {
					b.StopTimer()
					for i := range receivers {
						receivers[i] = benchReceiver(b, s, topic, strconv.Itoa(n+i))
					}
					b.StartTimer()
				}
				event, _, err := receivers[n%len(receivers)].Recv(ctx)
				failOn(b, err)
				if event.ID != int64(topics) {
					b.Fatalf("got event %d, want %d", event.ID, topics)
				}
			}
		})
	}
}

// BenchmarkRetained keeps 200,000 events. The figure to read is B/event, the
// live heap that they take.
func BenchmarkRetained(b *testing.B) {
	const events = 200_000
	liveHeap := func() float64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return float64(stats.HeapAlloc)
	}
	beside(b, func(b *testing.B, newStreamer func() memstreamer.EventStreamer) {
		var retained float64
		b.ReportAllocs()
		for b.Loop() {
			empty := liveHeap()
			s := newStreamer()
			sender := benchSender(b, s, benchTopic)
			for n := range events {
				failOn(b, benchSend(b.Context(), sender, benchTopic, n))
			}
			retained = liveHeap() - empty
			runtime.KeepAlive(s)
		}
		b.ReportMetric(retained/events, "B/event")
	})
}

// BenchmarkOpen opens a receiver of a fresh name, and closes it.
func BenchmarkOpen(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	s := newOurs()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		r, err := s.NewReceiver(ctx, benchTopic, strconv.Itoa(n))
		failOn(b, err)
		failOn(b, r.Close())
	}
}

// route is a topic, in the types of an engine, with what sends and receives on
// it.
type route[H ~string, E any, A ~func() error] struct {
	topic  string
	sender interface {
		Send(ctx context.Context, foreignID string, statusType int, headers map[H]string) error
	}
	receiver interface {
		Recv(ctx context.Context) (*E, A, error)
	}
}

func handoff(b *testing.B, s memstreamer.EventStreamer) {
	b.Helper()
	open := func(topic string) route[memstreamer.Header, memstreamer.Event, memstreamer.Ack] {
		return route[memstreamer.Header, memstreamer.Event, memstreamer.Ack]{
			topic, benchSender(b, s, topic), benchReceiver(b, s, topic, "n"),
		}
	}
	handoffBetween(b, open("there"), open("back"))
}

func handoffBetween[H ~string, E any, A ~func() error](b *testing.B, there, back route[H, E, A]) {
	b.Helper()
	send := func(ctx context.Context, r route[H, E, A], n int) error {
		foreignID, headers := baseline.Outbox[H](r.topic, n)
		return r.sender.Send(ctx, foreignID, 3, headers)
	}
	take := func(ctx context.Context, r route[H, E, A]) error {
		_, ack, err := r.receiver.Recv(ctx)
		if err != nil {
			return err
		}
		return ack()
	}

	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	echoCtx, stop := context.WithCancel(b.Context())
	var echo sync.WaitGroup
	echo.Go(func() {
		defer cancel() // ends the loop below if this one fails
		for n := 0; ; n++ {
			err := take(echoCtx, there)
			if err == nil {
				err = send(echoCtx, back, n)
			}
			if echoCtx.Err() != nil {
				return
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	defer echo.Wait()
	defer stop()

	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		failOn(b, send(ctx, there, n))
		failOn(b, take(ctx, back))
	}
}

// benchWaiting has so many receivers wait in s, each on a topic of its own. The
// function it returns closes s and waits for them to end.
func benchWaiting(b *testing.B, s memstreamer.EventStreamer, receivers int) (end func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var started, done sync.WaitGroup
	for i := range receivers {
		r := benchReceiver(b, s, "idle-"+strconv.Itoa(i), "n")
		started.Add(1)
		done.Go(func() {
			started.Done()
			if _, _, err := r.Recv(ctx); err == nil {
				b.Error("an idle receiver got an event")
			}
		})
	}
	started.Wait()
	return func() {
		// Not by the context, for which plain parking would wake every receiver
		// once for each.
		failOn(b, s.(io.Closer).Close())
		done.Wait()
		cancel()
	}
}

// waitForParked returns when no goroutine but its own has anything to do, and
// the garbage of the setup is collected.
func waitForParked(b *testing.B) {
	b.Helper()
	samples := []metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
	}
	deadline := time.Now().Add(time.Minute)
	for {
		metrics.Read(samples)
		if samples[0].Value.Uint64() == 0 && samples[1].Value.Uint64() <= 1 {
			break
		}
		if time.Now().After(deadline) {
			b.Fatal("goroutines that should be parked are running after a minute")
		}
		time.Sleep(time.Millisecond)
	}
	runtime.GC()
}

func benchSender(b *testing.B, s memstreamer.EventStreamer, topic string) memstreamer.EventSender {
	b.Helper()
	sender, err := s.NewSender(b.Context(), topic)
	failOn(b, err)
	return sender
}

// benchSend sends the nth event as an outbox does.
func benchSend(ctx context.Context, sender memstreamer.EventSender, topic string, n int) error {
	foreignID, headers := baseline.Outbox[memstreamer.Header](topic, n)
	return sender.Send(ctx, foreignID, 3, headers)
}

func benchReceiver(b *testing.B, s memstreamer.EventStreamer, topic, name string) memstreamer.EventReceiver {
	b.Helper()
	receiver, err := s.NewReceiver(b.Context(), topic, name)
	failOn(b, err)
	return receiver
}

func failOn(b testing.TB, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}
