package robustness

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

	senders  map[string]*openSender
	receiver *openReceiver

	mu        sync.Mutex
	delivered []delivery
}

type openSender struct {
	memstreamer.EventSender
	number int
	topic  string
}

type openReceiver struct {
	memstreamer.EventReceiver
	number      int
	topic, name string
}

// delivery is an event that was received and may be acked at any time.
type delivery struct {
	from *openReceiver
	key  string
	ack  memstreamer.Ack
}

func newActor(r *run, w worker, number int) *actor {
	return &actor{run: r, worker: w, number: number, senders: map[string]*openSender{}}
}

func (a *actor) nextHandle() int {
	a.handles++
	return a.number*1_000_000 + a.handles
}

// do does one thing that a has as its role.
func (a *actor) do(todo action) {
	switch a.role {
	case sending:
		topic, by := a.topics[todo.pick%len(a.topics)], a.topics[todo.pick/8%len(a.topics)]
		switch {
		case todo.roll < 85:
			a.send(topic, by, todo.pick)
		case todo.roll < 92:
			a.sendDone(topic)
		default:
			a.closeSender(topic)
			a.send(topic, topic, todo.pick) // on the closed one
			delete(a.senders, topic)
		}
	case receiving:
		a.receive(todo)
	case visiting:
		a.topic = a.topics[todo.pick%len(a.topics)]
		a.name = fmt.Sprint("visit ", a.handles)
		a.reopen(todo.roll < 20)
		if a.receiver == nil {
			return
		}
		if a.recv(todo) && todo.roll%2 == 0 {
			a.ackLate(0)
		}
		a.close()
	case meddling:
		other := a.workers[todo.pick%len(a.workers)]
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
		a.reopen(a.name == latestName && todo.pick%2 == 0)
	}
	if a.receiver == nil {
		return
	}
	switch {
	case todo.roll < 15:
		a.recvDone()
	case todo.roll < 20:
		a.closeReceiver(a.receiver)
		a.recv(todo) // on the closed one
		a.reopen(false)
	case a.recv(todo):
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
		if a.recv(action{}) {
			a.ackLate(0)
		} else if a.receiver == nil {
			return
		}
	}
}

// send sends an event to topic by the sender of another topic, or its own.
func (a *actor) send(topic, by string, pick int) {
	a.sendIn(a.context(context.Background()), false, topic, by, pick)
}

// sendDone is a Send whose context is done.
func (a *actor) sendDone(topic string) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a.sendIn(a.context(ctx), true, topic, topic, 0)
}

func (a *actor) sendIn(ctx context.Context, done bool, topic, by string, pick int) {
	s := a.senders[by]
	if s == nil {
		sender, err := a.streamer.NewSender(context.Background(), by)
		if err != nil {
			return // only after the streamer was closed
		}
		s = &openSender{sender, a.nextHandle(), by}
		a.senders[by] = s
	}
	a.keys++
	op := Op{
		Kind: Send, Worker: a.number, Topic: topic, By: by, Handle: s.number, DoneBefore: done, Done: done,
		Key: fmt.Sprintf("%d.%d", a.number, a.keys), Type: pick, Header: fmt.Sprint(pick),
	}
	headers := map[memstreamer.Header]string{memstreamer.HeaderRunID: op.Header}
	if topic != by {
		headers[memstreamer.HeaderTopic] = topic
	}
	place := a.rec.call(op)
	err := s.Send(ctx, op.Key, op.Type, headers)
	a.rec.returned(place, func(op *Op) { op.Err = err })
}

func (a *actor) closeSender(topic string) {
	if s := a.senders[topic]; s != nil {
		place := a.rec.call(Op{Kind: CloseSender, Worker: a.number, Topic: topic, Handle: s.number})
		err := s.Close()
		a.rec.returned(place, func(op *Op) { op.Err = err })
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

// reopen opens a receiver where a has none.
func (a *actor) reopen(latest bool) {
	if a.current() != nil {
		return
	}
	r := &openReceiver{number: a.nextHandle(), topic: a.topic, name: a.name}
	var opts []memstreamer.ReceiverOption
	if latest {
		opts = append(opts, memstreamer.StreamFromLatest())
	}
	place := a.rec.call(Op{Kind: Open, Worker: a.number, Topic: r.topic, Name: r.name, Handle: r.number, Latest: latest})
	var err error
	r.EventReceiver, err = a.streamer.NewReceiver(a.context(context.Background()), r.topic, r.name, opts...)
	a.rec.returned(place, func(op *Op) { op.Err = err })
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.receiver = r
}

func (a *actor) current() *openReceiver {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.receiver
}

// close closes a's receiver, if it has one.
func (a *actor) close() {
	r := a.current()
	if r == nil {
		return
	}
	a.closeReceiver(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.receiver = nil
}

func (a *actor) closeReceiver(r *openReceiver) {
	place := a.rec.call(Op{Kind: Close, Worker: a.number, Topic: r.topic, Name: r.name, Handle: r.number})
	err := r.Close()
	a.rec.returned(place, func(op *Op) { op.Err = err })
}

// recv reports whether it received an event, which ackLate(0) then acks.
func (a *actor) recv(todo action) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if todo.patience > 0 {
		defer time.AfterFunc(todo.patience, cancel).Stop()
	}
	return a.recvIn(ctx, cancel)
}

// recvDone is a Recv whose context is done.
func (a *actor) recvDone() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a.recvIn(ctx, cancel)
}

func (a *actor) recvIn(ctx context.Context, cancel context.CancelFunc) bool {
	r := a.receiver
	place := a.rec.call(Op{
		Kind: Recv, Worker: a.number, Topic: r.topic, Name: r.name, Handle: r.number, DoneBefore: ctx.Err() != nil,
	})
	a.run.mu.Lock()
	a.parked[a] = parkedRecv{place, cancel}
	a.run.mu.Unlock()
	event, ack, err := r.Recv(a.context(ctx))
	a.run.mu.Lock()
	delete(a.parked, a)
	a.run.mu.Unlock()
	done := ctx.Err() != nil
	a.rec.returned(place, func(op *Op) {
		op.Err, op.Done = err, done
		if err == nil {
			op.Event, op.Key = *event, event.ForeignID
		}
	})
	// Whoever was woken in the same instant comes first.
	a.pause(1 + a.duration(a.number, 50*time.Microsecond))
	if err != nil {
		if !done {
			// The receiver was closed: by another, perhaps.
			a.mu.Lock()
			a.receiver = nil
			a.mu.Unlock()
		}
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delivered = append(a.delivered, delivery{r, event.ForeignID, ack})
	return true
}

// ackLate acks the event that a received so many events before its last.
func (a *actor) ackLate(before int) {
	a.mu.Lock()
	if len(a.delivered) == 0 {
		a.mu.Unlock()
		return
	}
	d := a.delivered[len(a.delivered)-1-before%len(a.delivered)]
	a.mu.Unlock()
	place := a.rec.call(Op{
		Kind: Ack, Worker: a.number, Topic: d.from.topic, Name: d.from.name, Handle: d.from.number, Key: d.key,
	})
	err := d.ack()
	a.rec.returned(place, func(op *Op) { op.Err = err })
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
