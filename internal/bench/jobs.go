package bench

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Job is a benchmark of whatever Open opens.
type Job func(b *testing.B, open Open)

// backlog is the number of events in the jobs that keep some.
const backlog = 100_000

// Scale returns n, or a hundredth of it in a short run.
func Scale(n int) int {
	if testing.Short() {
		return n / 100
	}
	return n
}

// Handoff passes an event there and back. A waiting receiver takes and acks it
// and sends one on a second topic, which another waiting receiver takes and acks.
func Handoff(b *testing.B, open Open) {
	handoff(b, Start(b, open))
}

func handoff(b *testing.B, s *Session) {
	b.Helper()
	there, back := s.Sender("there"), s.Sender("back")
	onThere, onBack := s.Receiver("there", "n"), s.Receiver("back", "n")
	defer s.echo(onThere, back)()
	defer s.End()
	m := NewMeter(b)
	for n := 0; b.Loop(); n++ {
		failOn(b, there.Send(s.Ctx, n))
		failOn(b, Take(s.Ctx, onBack))
	}
	m.Report()
}

// HandoffBesideBusy is Handoff beside two goroutines a processor that compute, as
// the steps of an engine do. The time is a mean: most hand-offs take microseconds,
// some wait for time slices.
func HandoffBesideBusy(b *testing.B, open Open) {
	var stop atomic.Bool
	var busy sync.WaitGroup
	defer busy.Wait()
	defer stop.Store(true)
	s := Start(b, open)
	for range 2 * runtime.GOMAXPROCS(0) {
		busy.Go(func() {
			for x := uint64(1); !stop.Load() && x != 0; {
				x = x*6364136223846793005 + 1442695040888963407
			}
		})
	}
	handoff(b, s)
}

// HandoffBesideParked is Handoff beside receivers that wait on other topics.
func HandoffBesideParked(receivers int) Job {
	return func(b *testing.B, open Open) {
		s := Start(b, open)
		defer s.idle(receivers)()
		Settle()
		handoff(b, s)
	}
}

// Idle has receivers wait, each on a topic of its own. An operation is half a
// second of that. The figure to read is cores: the processor time of the process
// over the time that passes.
func Idle(receivers int) Job {
	return func(b *testing.B, open Open) {
		s := Start(b, open)
		defer s.idle(receivers)()
		Settle()
		m := NewMeter(b)
		for b.Loop() {
			time.Sleep(time.Second / 2)
		}
		b.ReportMetric(float64(m.total())/float64(b.Elapsed()), "cores")
	}
}

// idle has receivers wait until end, which ends the session, is called.
func (s *Session) idle(receivers int) (end func()) {
	s.tb.Helper()
	var started, done sync.WaitGroup
	for i := range receivers {
		r := s.Receiver("idle-"+strconv.Itoa(i), "n")
		started.Add(1)
		done.Go(func() {
			started.Done()
			if _, _, err := r.Recv(s.Ctx); !s.Ended() {
				s.tb.Errorf("an idle receiver returned: %v", err)
			}
		})
	}
	started.Wait()
	return func() {
		s.End()
		done.Wait()
	}
}

// Send sends to a topic without receivers. It takes a new broker after a while, to
// bound what a long run keeps.
func Send(b *testing.B, open Open) {
	s := Start(b, open)
	sender := s.Sender(Topic)
	m := NewMeter(b)
	for n := 1; b.Loop(); n++ {
		failOn(b, sender.Send(s.Ctx, n))
		if n%backlog == 0 {
			s.End()
			s = Start(b, open)
			sender = s.Sender(Topic)
		}
	}
	m.Report()
}

// SendAtOnce is Send by eight senders at once.
func SendAtOnce(b *testing.B, open Open) {
	const senders = 8
	s := Start(b, open)
	var sending sync.WaitGroup
	m := NewMeter(b)
	for i := range senders {
		sender := s.Sender(Topic)
		sending.Go(func() {
			for n := i; n < b.N; n += senders {
				if err := sender.Send(s.Ctx, n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	sending.Wait()
	m.Report()
}

// Recv takes and acks a backlog, once with each of as many receiver names as it
// needs.
func Recv(b *testing.B, open Open) {
	events := Scale(backlog)
	s := Start(b, open)
	failOn(b, SendAll(s.Ctx, s.Sender(Topic), events))
	receiver := s.Receiver(Topic, "0")
	m := NewMeter(b)
	for n := 1; b.Loop(); n++ {
		failOn(b, Take(s.Ctx, receiver))
		if n%events == 0 {
			receiver = s.Receiver(Topic, strconv.Itoa(n))
		}
	}
	m.Report()
}

// Pass measures the throughput of one sender. An operation passes 50,000 events to
// each receiver, which acks them all. An event that reaches eight receivers counts
// once in events/s. If ordered, it fails where an event comes after a later one.
func Pass(receivers int, ordered bool) Job {
	return func(b *testing.B, open Open) {
		events := Scale(50_000)
		m := NewMeter(b)
		for b.Loop() {
			var s *Session
			var all []Receiver
			m.pause(func() {
				s = Start(b, open)
				for i := range receivers {
					all = append(all, s.Receiver(Topic, strconv.Itoa(i)))
				}
			})
			late, err := PassEvents(s.Ctx, s.Sender(Topic), all, events)
			failOn(b, err)
			if ordered && late > 0 {
				b.Fatalf("%d events came after later ones", late)
			}
			m.pause(s.End)
		}
		m.Report()
		b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
	}
}

// Retained keeps 100,000 events that nobody reads. The figure to read is B/event:
// the live heap beyond that of the empty broker, by event.
func Retained(b *testing.B, open Open) {
	events := Scale(backlog)
	var retained int64
	b.ReportAllocs()
	for b.Loop() {
		s := Start(b, open)
		sender := s.Sender(Topic)
		empty := LiveHeap()
		failOn(b, SendAll(s.Ctx, sender, events))
		retained = LiveHeap() - empty
		s.End()
	}
	b.ReportMetric(float64(retained)/float64(events), "B/event")
}

// Collection is one garbage collection while the broker keeps 2,000,000 events.
// The figure to read is cpu-ns/op.
func Collection(b *testing.B, open Open) {
	s := Start(b, open)
	failOn(b, SendAll(s.Ctx, s.Sender(Topic), Scale(2_000_000)))
	m := NewMeter(b)
	for b.Loop() {
		runtime.GC()
	}
	m.Report()
}
