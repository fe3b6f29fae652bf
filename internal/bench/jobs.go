package bench

import (
	"errors"
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
func Handoff(b *testing.B, open Open) { handoff(b, Start(b, open), 0) }

// HandoffBesideParked is Handoff beside receivers that wait on other topics.
func HandoffBesideParked(receivers int) Job {
	return func(b *testing.B, open Open) { handoff(b, Start(b, open), receivers) }
}

func handoff(b *testing.B, s *Session, parked int) {
	b.Helper()
	var others sync.WaitGroup
	defer others.Wait()
	defer s.End()
	s.park(&others, parked)
	there, back := s.Sender("there"), s.Sender("back")
	onThere, onBack := s.Receiver("there", "n"), s.Receiver("back", "n")
	n := 0
	s.background(&others, func() error {
		if err := Take(s.Ctx, onThere); err != nil {
			return err
		}
		n++
		return back.Send(s.Ctx, n)
	})
	report := MeasureCPU(b)
	for n := 0; b.Loop(); n++ {
		failOn(b, there.Send(s.Ctx, n))
		failOn(b, Take(s.Ctx, onBack))
	}
	report()
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
	handoff(b, s, 0)
}

// Idle has receivers wait, each on a topic of its own. An operation is half a
// second of that. The figure to read is cores.
func Idle(receivers int) Job {
	return func(b *testing.B, open Open) {
		var waiting sync.WaitGroup
		s := Start(b, open)
		defer waiting.Wait()
		defer s.End()
		s.park(&waiting, receivers)
		report := MeasureCPU(b)
		for b.Loop() {
			time.Sleep(time.Second / 2)
		}
		report()
	}
}

// park has receivers wait, each on a topic of its own, until the session ends.
func (s *Session) park(waiting *sync.WaitGroup, receivers int) {
	s.tb.Helper()
	for i := range receivers {
		r := s.Receiver("idle-"+strconv.Itoa(i), "n")
		s.background(waiting, func() error {
			if _, _, err := r(s.Ctx); err != nil {
				return err
			}
			return errors.New("an idle receiver got an event")
		})
	}
	if receivers > 0 {
		Settle()
	}
}

// Send sends to a topic without receivers. It takes a new broker after a while, to
// bound what a long run keeps.
func Send(b *testing.B, open Open) {
	s := Start(b, open)
	sender := s.Sender(Topic)
	report := MeasureCPU(b)
	for n := 1; b.Loop(); n++ {
		failOn(b, sender.Send(s.Ctx, n))
		if n%backlog == 0 {
			s.End()
			s = Start(b, open)
			sender = s.Sender(Topic)
		}
	}
	report()
}

// SendAtOnce is Send by eight senders at once.
func SendAtOnce(b *testing.B, open Open) {
	s := Start(b, open)
	report := MeasureCPU(b)
	SendBy(s, 8, b.N)
	report()
}

// SendBy sends events by so many senders at once.
func SendBy(s *Session, senders, events int) {
	var sending sync.WaitGroup
	for i := range senders {
		sender := s.Sender(Topic)
		sending.Go(func() {
			for n := i; n < events; n += senders {
				if err := sender.Send(s.Ctx, n); err != nil {
					s.tb.Error(err)
					return
				}
			}
		})
	}
	sending.Wait()
}

// Recv takes and acks a backlog, once with each of as many receiver names as it
// needs.
func Recv(b *testing.B, open Open) {
	events := Scale(backlog)
	s := Start(b, open)
	failOn(b, SendAll(s.Ctx, s.Sender(Topic), events))
	receiver := s.Receiver(Topic, "0")
	report := MeasureCPU(b)
	for n := 1; b.Loop(); n++ {
		failOn(b, Take(s.Ctx, receiver))
		if n%events == 0 {
			receiver = s.Receiver(Topic, strconv.Itoa(n))
		}
	}
	report()
}

// Pass has one sender pass events to receivers, each of which takes and acks them
// all. An operation is an event, to however many. late/op is the part of what was
// received that came after a later one.
func Pass(receivers int) Job {
	return func(b *testing.B, open Open) {
		s := Start(b, open)
		sender := s.Sender(Topic)
		var all []Receiver
		for i := range receivers {
			all = append(all, s.Receiver(Topic, strconv.Itoa(i)))
		}
		report := MeasureCPU(b)
		late, err := PassEvents(s.Ctx, sender, all, b.N)
		failOn(b, err)
		report()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(float64(late)/float64(b.N*receivers), "late/op")
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
	report := MeasureCPU(b)
	for b.Loop() {
		runtime.GC()
	}
	report()
}
