package histories

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Streamer is what can be checked.
type Streamer interface {
	memstreamer.EventStreamer
	Close() error
}

// Pace is how the goroutines of a run meet.
type Pace int

const (
	// Real lets the scheduler decide, on all processors there are.
	Real Pace = iota
	// Seeded is for a run in a bubble of testing/synctest, whose time stands
	// still while anything can run. Every pause is a sleep of a length that
	// follows from the seed, also within the calls, wherever the streamer asks
	// its clock or a context. So the order of everything follows from the seed,
	// but for goroutines that one event wakes in the same instant.
	Seeded
)

func (p Pace) String() string { return [...]string{"real", "seeded"}[p] }

const (
	// restCheck is how often a run checks whether it has come to rest. It doubles
	// while nothing happens.
	restCheck = 100 * time.Microsecond

	// stalledAfter is how long a Recv may stay parked beside an event to return,
	// while nothing else happens, before its wake-up counts as lost.
	stalledAfter = 20 * time.Second
)

// run is a run of a plan. The same actors work in all of its phases.
type run struct {
	plan     Plan
	pace     Pace
	streamer Streamer
	clock    *Clock
	rec      *recorder
	actors   []*actor

	// Of a run of a Soak after others: what its topics begin with, and how many
	// events there were before.
	prefix string
	before int64
}

// Run has the workers of plan use the streamer that makes returns, until all
// have done what the plan says and the streamer is closed, and returns what
// happened.
func Run(plan Plan, pace Pace, makes func(memstreamer.Clock, time.Duration) Streamer) *History {
	clock := new(Clock)
	r := newRun(plan, pace, clock)
	r.streamer = makes(clock, plan.retention)
	r.work()
	audited := r.rec.progress()
	if plan.rush {
		r.rush()
	}
	r.finish()
	return r.rec.history(plan.retention, audited)
}

func newRun(plan Plan, pace Pace, clock *Clock) *run {
	r := &run{plan: plan, pace: pace, rec: newRecorder(), clock: clock}
	clock.yield = func() { r.yield(-1) }
	for i, w := range workers {
		r.actors = append(r.actors, &actor{run: r, worker: w, number: i, senders: map[string]*openSender{}})
	}
	return r
}

func (r *run) work() {
	for _, ph := range r.plan.phases {
		r.phase(ph)
	}
}

// Soak is one streamer with a retention that many runs use, one after another, each on
// topics of its own. So the streamer can forget what earlier runs have left.
type Soak struct {
	Streamer
	clock Clock
	sent  int64
}

// NewSoak returns a Soak of the streamer that makes returns.
func NewSoak(makes func(memstreamer.Clock, time.Duration) Streamer) *Soak {
	s := &Soak{clock: Clock{yield: func() {}}}
	s.Streamer = makes(&s.clock, retentionPeriod)
	return s
}

// Run runs the plan of a seed, on all processors, and returns what happened, by which
// all that was opened is closed again. After the retention period has passed once more,
// the streamer may drop everything.
func (s *Soak) Run(seed uint64) *History {
	plan := NewPlan(seed)
	plan.retention = retentionPeriod
	r := newRun(plan, Real, &s.clock)
	r.streamer, r.prefix, r.before = s.Streamer, fmt.Sprint(s.sent, " "), s.sent
	r.step(0) // tells the checkers the time
	r.work()
	audited := r.rec.progress()
	for _, a := range r.actors {
		a.close()
		a.closeSendersBut(nil)
	}
	r.step(2 * retentionPeriod)
	h := r.rec.history(plan.retention, audited)
	for i := range h.Ops {
		if h.Ops[i].Kind == Send && h.Ops[i].ok() {
			s.sent++
		}
	}
	return h
}

// phase has all actors do what ph says, and closes what they have on other topics.
func (r *run) phase(ph phase) {
	var working sync.WaitGroup
	// The auditors first, so that they are open before anything is sent.
	for i, a := range slices.Backward(r.actors) {
		a.topics = ph.topics
		if (a.role == receiving || a.role == auditing) && !slices.Contains(ph.topics, a.topic) {
			a.close()
			continue
		}
		a.closeSendersBut(ph.topics)
		work := a.audit
		if a.role == auditing {
			a.reopen(false, 0)
		} else {
			work = func() { a.follow(ph.actions[i]) }
		}
		a.set(func() { a.working = true })
		working.Go(func() {
			work()
			a.set(func() { a.working = false })
		})
	}
	r.settle()
	working.Wait()
	r.step(ph.step)
}

// settle returns when all actors are done. Whenever all that remain wait for events
// and there are none for them, it cancels their calls, the auditors' last.
func (r *run) settle() {
	progress, since, check := r.rec.progress(), time.Now(), restCheck
	for {
		time.Sleep(check)
		if now := r.rec.progress(); now != progress {
			progress, since, check = now, time.Now(), restCheck
		} else {
			check = min(2*check, stalledAfter/1000)
		}
		working, parked := 0, map[*actor]parkedRecv{}
		for _, a := range r.actors {
			a.set(func() {
				if a.working {
					working++
				}
				if a.parked != nil {
					parked[a] = *a.parked
				}
			})
		}
		if working == 0 {
			return
		}
		if working > len(parked) {
			continue
		}
		waiting, onlyAuditors := false, true
		for a, recv := range parked {
			waiting = waiting || r.rec.waiting(recv.place)
			onlyAuditors = onlyAuditors && a.role == auditing
		}
		stalled := time.Since(since) >= stalledAfter
		if waiting && !stalled {
			continue
		}
		if stalled && !waiting {
			panic(fmt.Sprintf("calls of Recv have not returned, long after their contexts were done: %v", r.rec.ops))
		}
		for a, recv := range parked {
			if waiting {
				r.rec.giveUp(recv.place)
			} else if a.role == auditing && !onlyAuditors {
				continue
			}
			a.stopped.Store(!waiting)
			recv.cancel()
		}
	}
}

// rush closes the streamer while it is used: one Send for each topic, and
// everything else, runs at the same time.
func (r *run) rush() {
	var rushing sync.WaitGroup
	for i, a := range slices.Backward(r.actors) {
		rushing.Go(func() {
			r.pause(r.duration(i, time.Microsecond))
			switch {
			case a.receiver != nil:
				a.recv(0, false)
			case a.role == receiving:
				a.reopen(false, 0)
			case a.role == sending:
				a.send(topics[a.number], topics[a.number], i, false)
			case a.role == stepping:
				r.shut()
			}
		})
	}
	rushing.Wait()
}

// finish closes the streamer and everything of it, and uses it once more.
func (r *run) finish() {
	r.shut()
	for _, a := range r.actors {
		switch a.role {
		case receiving, auditing:
			if a.receiver != nil {
				a.recv(0, false)
			}
			a.ackLate(0)
			a.close()
			a.reopen(false, 0)
		case sending:
			a.send(topics[0], topics[0], 0, false)
			a.closeSendersBut(nil)
		}
	}
	r.shut()
}

func (r *run) shut() { r.rec.do(Op{Kind: Shut, Worker: -1}, r.streamer.Close) }

func (r *run) step(d time.Duration) {
	r.clock.step(d, func(now time.Duration) { r.rec.do(Op{Kind: Step, Worker: -1, Now: now}, func() error { return nil }) })
}

// duration returns one below limit that follows from the seed, the time and i.
func (r *run) duration(i int, limit time.Duration) time.Duration {
	x := r.plan.Seed*0x9e3779b97f4a7c15 ^ uint64(time.Since(r.rec.began))*0xbf58476d1ce4e5b9 ^ uint64(i+1)*0x94d049bb133111eb
	x ^= x >> 31
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	return time.Duration(x % uint64(limit))
}

// yield lets others run for a moment, in every second call or so.
func (r *run) yield(i int) {
	if d := r.duration(i, 200*time.Microsecond); d%2 == 0 {
		r.pause(d)
	}
}

func (r *run) pause(d time.Duration) {
	if r.pace == Seeded {
		time.Sleep(d)
		return
	}
	for range d % 8 {
		runtime.Gosched()
	}
}
