package histories

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// retentionPeriod is the retention of a history that has one, by its own clock.
const retentionPeriod = time.Hour

// Plan is what the goroutines of a run are told to do. It follows from its seed
// alone.
type Plan struct {
	Seed      uint64
	retention time.Duration
	phases    []phase

	// rush has the streamer closed while it is used, and not only at the end.
	rush bool
}

// phase is a part of a plan. At its end everything comes to rest, and then the
// clock is stepped.
type phase struct {
	topics  []string   // the others are left alone, and may be forgotten
	actions [][]action // of each worker
	step    time.Duration
}

// action is one thing a worker does, as its role has it.
type action struct {
	think    time.Duration // before it
	patience time.Duration // of a Recv; with 0 it waits until all is at rest
	roll     int           // 0 to 99: which of the things that the role does
	pick     int           // of what there is to choose from
}

// role is what a worker does all the time.
type role int

const (
	sending role = iota
	receiving
	auditing
	visiting // opens a consumer each time that was never there
	meddling // acks late what others received, and closes their receivers
	stepping // of the clock
)

// worker is one goroutine of a phase, the same one in all phases.
type worker struct {
	role      role
	topic     string // where it receives
	name      string
	ephemeral bool
	shard     int // from 1 to shards, or 0
}

var topics = []string{"orders", "runs", "timers"}

// latestName is the name of a cursor that StreamFromLatest is used with.
const latestName = "latest"

// workers are those of each plan, the auditors last. On each topic, two share a
// consumer, two have an ephemeral receiver of its name, and each shard has a consumer.
var workers = func() []worker {
	all := []worker{{role: sending}, {role: sending}, {role: sending}, {role: visiting}, {role: meddling}, {role: stepping}}
	for _, topic := range topics {
		for _, name := range []string{"step", "shared", "shared", latestName} {
			all = append(all, worker{role: receiving, topic: topic, name: name})
		}
		for range 2 {
			all = append(all, worker{role: receiving, topic: topic, name: "shared", ephemeral: true})
		}
		for shard := range shards {
			all = append(all, worker{role: receiving, topic: topic, name: fmt.Sprint("shard ", shard+1), shard: shard + 1})
		}
	}
	for _, topic := range topics {
		all = append(all, worker{role: auditing, topic: topic, name: Auditor})
	}
	return all
}()

// NewPlan returns the plan of a seed.
func NewPlan(seed uint64) Plan {
	random := rand.New(rand.NewPCG(seed, 0))
	p := Plan{Seed: seed, retention: retentionPeriod, rush: random.IntN(4) == 0}
	if random.IntN(5) == 0 {
		p.retention = 0
	}
	const phases = 4
	most := 8 + random.IntN(20) // actions of a worker in a phase
	for range phases {
		ph := phase{step: []time.Duration{0, retentionPeriod / 2, retentionPeriod + 1, 3 * retentionPeriod}[random.IntN(4)]}
		for _, topic := range topics {
			if random.IntN(3) > 0 {
				ph.topics = append(ph.topics, topic)
			}
		}
		if len(ph.topics) == 0 {
			ph.topics = topics[:1]
		}
		for range workers {
			list := make([]action, 1+random.IntN(most))
			for i := range list {
				list[i] = action{
					think: time.Duration(random.IntN(int(time.Millisecond))),
					roll:  random.IntN(100),
					pick:  random.IntN(1 << 20),
				}
				if random.IntN(2) == 0 {
					list[i].patience = time.Duration(1 + random.IntN(int(time.Millisecond)))
				}
			}
			ph.actions = append(ph.actions, list)
		}
		p.phases = append(p.phases, ph)
	}
	return p
}

// lastOf returns what a pick has StreamFromLast be given, 0 for nothing. It is often
// just the age of an event, which is a sum of steps.
func lastOf(pick int) time.Duration {
	return time.Duration(max(0, pick/2%8-4)) * retentionPeriod / 8
}

// stepOf returns how far a roll has the clock stepped: mostly by parts of the
// retention period, at times past it or back.
func stepOf(roll int) time.Duration {
	switch {
	case roll < 50:
		return retentionPeriod / 8
	case roll < 75:
		return retentionPeriod / 2
	case roll < 90:
		return retentionPeriod + 1
	default:
		return -retentionPeriod / 4
	}
}
