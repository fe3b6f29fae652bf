package histories

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
)

// actor is a worker at work. It records what it does.
type actor struct {
	*run
	worker
	number  int
	topics  []string // of the phase
	stopped atomic.Bool

	// What it made so far: handles and event keys are numbered by actor, so that
	// they follow from the seed.
	handles, keys int

	senders map[string]*openSender // by topic

	mu        sync.Mutex // for what others see
	working   bool
	receiver  *openReceiver
	parked    *parkedRecv // nil while it is in no Recv
	delivered []delivery
}

// openSender is a sender, and what all its calls have in common.
type openSender struct {
	memstreamer.EventSender
	op Op
}

// parkedRecv is a call of Recv that has not returned.
type parkedRecv struct {
	place  int
	cancel context.CancelFunc
}

// openReceiver is a receiver, and what all its calls have in common.
type openReceiver struct {
	memstreamer.EventReceiver
	op Op
}

// delivery is an event that was received and may be acked at any time.
type delivery struct {
	op  Op // the Ack
	ack memstreamer.Ack
}

// handle returns what all calls of the next sender or receiver have in common.
func (a *actor) handle(topic, name string) Op {
	a.handles++
	return Op{Worker: a.number, Topic: topic, Name: name, Handle: a.number*1_000_000 + a.handles, Ephemeral: a.ephemeral, Shard: a.shard}
}

// as returns the call of a kind.
func (o Op) as(kind Kind) Op {
	o.Kind = kind
	return o
}

// follow does one thing after another.
func (a *actor) follow(actions []action) {
	for _, todo := range actions {
		a.pause(todo.think)
		a.do(todo)
	}
}

// do does one thing that a has as its role.
func (a *actor) do(todo action) {
	switch a.role {
	case sending:
		topic, by := a.topics[todo.pick%len(a.topics)], a.topics[todo.pick/8%len(a.topics)]
		switch {
		case todo.roll < 85:
			a.send(topic, by, todo.pick, false)
		case todo.roll < 92:
			a.send(topic, topic, 0, true)
		default:
			a.closeSender(topic)
			a.send(topic, topic, todo.pick, false) // on the closed one, or on a new one
			a.closeSender(topic)
			delete(a.senders, topic)
		}
	case receiving:
		a.receive(todo)
	case visiting:
		a.topic = a.topics[todo.pick%len(a.topics)]
		a.name, a.ephemeral = fmt.Sprint("visit ", a.handles), todo.roll%3 == 0
		if a.ephemeral {
			a.name = "step"
		}
		a.shard = todo.pick / 16 % (2 * shards) % (shards + 1) // most have none
		a.reopen(todo.roll < 20, lastOf(todo.pick))
		if a.receiver == nil {
			return
		}
		if a.recv(todo.patience, false) && todo.roll%2 == 0 {
			a.ackLate(0)
		}
		a.close()
	case meddling:
		other := a.actors[todo.pick%(len(a.actors)-len(topics))] // no auditor
		if todo.roll < 75 {
			other.ackLate(todo.pick / 64)
		} else if receiver := other.current(); receiver != nil {
			a.closeReceiver(receiver)
		}
	case stepping:
		a.step(stepOf(todo.roll))
	}
}

// receive is one thing that a receiver does: mostly it acks what it received,
// at times late, twice or never, and at times it crashes and opens again.
func (a *actor) receive(todo action) {
	if a.receiver == nil || todo.roll < 10 {
		a.close()
		a.reopen((a.name == latestName || a.ephemeral) && todo.pick%2 == 0, lastOf(todo.pick))
	}
	if a.receiver == nil {
		return
	}
	switch {
	case todo.roll < 15:
		a.recv(0, true)
	case todo.roll < 20:
		a.closeReceiver(a.receiver)
		a.recv(todo.patience, false) // on the closed one
		a.reopen(false, 0)
	case a.recv(todo.patience, false):
		switch {
		case todo.roll < 35: // never, or by another
		case todo.roll < 45:
			a.ackLate(todo.pick)
		case todo.roll < 55:
			a.ackLate(0)
			a.ackLate(0)
		default:
			a.ackLate(0)
		}
	}
}

// audit receives and acks until it is told to stop.
func (a *actor) audit() {
	a.stopped.Store(false)
	for !a.stopped.Load() {
		if a.recv(0, false) {
			a.ackLate(0)
		} else if a.receiver == nil {
			return
		}
	}
}

// send sends an event to topic, by the sender of another topic or its own, in a
// context that is done or not.
func (a *actor) send(topic, by string, pick int, done bool) {
	s := a.senders[by]
	if s == nil {
		sender, err := a.streamer.NewSender(context.Background(), a.prefix+by)
		if err != nil {
			return // only after the streamer was closed
		}
		s = &openSender{sender, a.handle(by, "")}
		a.senders[by] = s
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if done {
		cancel()
	}
	a.keys++
	op := s.op.as(Send)
	op.Topic, op.By, op.DoneBefore, op.Done = topic, by, done, done
	op.Key, op.Type, op.Header = fmt.Sprintf("%d.%d", a.number, a.keys), pick, fmt.Sprint(pick)
	headers := map[memstreamer.Header]string{memstreamer.HeaderRunID: op.Header}
	if topic != by {
		headers[memstreamer.HeaderTopic] = a.prefix + topic
	}
	a.rec.do(op, func() error { return s.Send(a.context(ctx), op.Key, op.Type, headers) })
}

func (a *actor) closeSender(topic string) {
	if s := a.senders[topic]; s != nil {
		a.rec.do(s.op.as(CloseSender), s.Close)
	}
}

func (a *actor) closeSendersBut(keep []string) {
	for _, topic := range topics {
		if !slices.Contains(keep, topic) {
			a.closeSender(topic)
			delete(a.senders, topic)
		}
	}
}

// reopen opens a receiver where a has none. A new cursor starts at the latest, or with
// the last so long, if that is not 0.
func (a *actor) reopen(latest bool, last time.Duration) {
	if a.current() != nil {
		return
	}
	r := &openReceiver{op: a.handle(a.topic, a.name)}
	var opts []memstreamer.ReceiverOption
	if latest {
		opts = append(opts, memstreamer.StreamFromLatest())
	}
	if last > 0 {
		opts = append(opts, memstreamer.StreamFromLast(last))
	}
	if a.ephemeral {
		opts = append(opts, memstreamer.Ephemeral())
	}
	if a.shard > 0 {
		opts = append(opts, memstreamer.Shard(a.shard-1, shards))
	}
	op := r.op.as(Open)
	op.Latest, op.Last = latest, last
	err := a.rec.do(op, func() (err error) {
		r.EventReceiver, err = a.streamer.NewReceiver(a.context(context.Background()), a.prefix+a.topic, a.name, opts...)
		return err
	})
	if err == nil {
		a.use(r)
	}
}

func (a *actor) current() *openReceiver {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.receiver
}

// set changes, or reads, what others see of a.
func (a *actor) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *actor) use(r *openReceiver) { a.set(func() { a.receiver = r }) }

// close closes a's receiver, if it has one.
func (a *actor) close() {
	if r := a.current(); r != nil {
		a.closeReceiver(r)
		a.use(nil)
	}
}

func (a *actor) closeReceiver(r *openReceiver) { a.rec.do(r.op.as(Close), r.Close) }

// recv reports whether it received an event, which ackLate(0) then acks. Its context
// is done when it begins, or when its patience ends.
func (a *actor) recv(patience time.Duration, done bool) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if done {
		cancel()
	} else if patience > 0 {
		defer time.AfterFunc(patience, cancel).Stop()
	}
	r := a.receiver
	op := r.op.as(Recv)
	op.DoneBefore = done
	place := a.rec.begin(op)
	a.set(func() { a.parked = &parkedRecv{place, cancel} })
	event, ack, err := r.Recv(a.context(ctx))
	a.set(func() { a.parked = nil })
	ended := ctx.Err() != nil
	a.rec.end(place, func(op *Op) {
		op.Err, op.Done = err, ended
		if err == nil {
			op.Event, op.Key, op.In = *event, event.ForeignID, 1+int(event.ID%shards)
			op.Event.ID -= a.before
		}
	})
	// Whoever was woken in the same instant comes first.
	a.pause(1 + a.duration(a.number, 50*time.Microsecond))
	if err != nil {
		if !ended {
			a.use(nil) // the receiver was closed: by another, perhaps
		}
		return false
	}
	acking := r.op.as(Ack)
	acking.Key = event.ForeignID
	a.set(func() { a.delivered = append(a.delivered, delivery{acking, ack}) })
	return true
}

// ackLate acks the event that a received so many events before its last.
func (a *actor) ackLate(before int) {
	var d delivery
	a.set(func() {
		if n := len(a.delivered); n > 0 {
			d = a.delivered[n-1-before%n]
		}
	})
	if d.ack != nil {
		a.rec.do(d.op, d.ack)
	}
}

// context returns ctx with a yield wherever the streamer asks it something.
func (a *actor) context(ctx context.Context) context.Context {
	return yieldingContext{ctx, func() { a.yield(a.number) }}
}

type yieldingContext struct {
	context.Context
	yield func()
}

func (c yieldingContext) Err() error {
	c.yield()
	return c.Context.Err()
}

func (c yieldingContext) Done() <-chan struct{} {
	c.yield()
	return c.Context.Done()
}
