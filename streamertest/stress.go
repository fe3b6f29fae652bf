package streamertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

const (
	stressSenders = 3   // of each topic
	stressEvents  = 100 // of each sender
)

// stress has senders and receivers of two topics at work at once, while contexts
// end, receivers are closed and opened again, and acks are lost, late and
// repeated. Each name must get all of its topic in order, and no event from a
// Recv that began after that event's Ack had returned.
func stress(t *trial) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var works []func() error
	readings := make(map[string][]*reading)
	for _, topic := range []string{"orders", "invoices"} {
		for _, name := range []string{"a", "b", "shared"} {
			r := &reading{t: t, topic: topic, name: name, readers: 1, acked: make(map[int64]string), next: make(map[string]int)}
			r.ctx, r.finish = context.WithCancel(ctx)
			defer r.finish()
			if name == "shared" {
				r.readers = 2
			}
			for range r.readers {
				random := rand.New(rand.NewPCG(1, uint64(len(works))))
				works = append(works, func() error { return r.read(random) })
			}
			readings[topic] = append(readings[topic], r)
		}
		for i := range stressSenders {
			s := t.sender(topic)
			works = append(works, func() error { return sendAll(ctx, s, fmt.Sprint("sender ", i)) })
		}
	}

	errs := make(chan error)
	for _, work := range works {
		go func() { errs <- work() }()
	}
	for range works {
		if err := <-errs; err != nil {
			t.Errorf("%v", err)
			cancel()
		}
	}
	if ctx.Err() != nil {
		return
	}

	for topic, readings := range readings {
		t.send(t.sender(topic), "last")
		for _, r := range readings {
			// Anything acked that is there again would come before this.
			t.take(t.receiver(topic, r.name), "last")
			if !maps.Equal(r.acked, readings[0].acked) {
				t.Errorf("receivers %q and %q got the events of one topic with different IDs", r.name, readings[0].name)
			}
		}
	}
}

// sendAll sends numbered events, and changes the one map that it has for their
// headers from each to the next.
func sendAll(ctx context.Context, s memstreamer.EventSender, who string) error {
	headers := make(map[memstreamer.Header]string)
	for i := range stressEvents {
		runtime.Gosched() // or the readers find all of them there, and never wait
		headers[memstreamer.HeaderRunID] = fmt.Sprint(i)
		if err := s.Send(ctx, who, i, headers); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: Send: %w", who, err)
		}
	}
	return nil
}

// reading is what the receivers of one topic and name have got so far.
type reading struct {
	t           *trial
	topic, name string
	readers     int
	ctx         context.Context // done when there is no more to get
	finish      context.CancelFunc

	mu     sync.Mutex
	acked  map[int64]string // by ID, which event of which sender
	newest int64            // the largest ID of those
	next   map[string]int   // by sender, the number that comes next
}

// read opens receivers, one after another, until its name has all events or the
// stress failed elsewhere.
func (r *reading) read(random *rand.Rand) error {
	for r.ctx.Err() == nil {
		err := r.session(random)
		if err != nil && (r.ctx.Err() == nil || !errors.Is(err, context.Canceled)) {
			return fmt.Errorf("receiver %q: %w", r.name, err)
		}
	}
	return nil
}

// session opens a receiver, and receives and acks until it closes that, which it
// does during a Recv. It gives up some calls early, loses some acks, and makes
// those that it lost late.
func (r *reading) session(random *rand.Rand) error {
	receiver, err := r.t.streamer.NewReceiver(r.ctx, r.t.topic(r.topic), r.name)
	if err != nil {
		return fmt.Errorf("on NewReceiver: %w", err)
	}
	defer func() { _ = receiver.Close() }()

	late := memstreamer.Ack(func() error { return nil })
	for closing := false; !closing; {
		closing = random.IntN(8) == 0
		patience := time.Hour
		if random.IntN(8) == 0 {
			patience = time.Duration(random.IntN(500)) * time.Microsecond
		}
		r.mu.Lock()
		newest := r.newest
		r.mu.Unlock()
		c, err := r.recv(receiver, closing, patience)
		switch {
		case err != nil:
			return err
		case closing && errors.Is(c.err, memstreamer.ErrClosed),
			patience < time.Hour && errors.Is(c.err, context.DeadlineExceeded):
			continue
		case c.err != nil:
			return fmt.Errorf("on Recv: %w", c.err)
		}
		if err := r.check(c.event, newest); err != nil {
			return err
		}
		if random.IntN(8) > 0 {
			// The one from before is of an older event, or of this one again.
			for _, ack := range []memstreamer.Ack{c.ack, late} {
				if err := ack(); err != nil {
					return fmt.Errorf("on Ack: %w", err)
				}
			}
			r.record(c.event)
		}
		late = c.ack
	}
	return nil
}

func (r *reading) recv(receiver memstreamer.EventReceiver, closing bool, patience time.Duration) (*call, error) {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	c := r.t.start(ctx, receiver)
	if closing {
		if err := receiver.Close(); err != nil {
			return nil, fmt.Errorf("on Close: %w", err)
		}
	}
	return c, r.t.returned(c)
}

// check wants an event that comes next, where newest was the newest acked before
// its Recv. Two readers of a name may each have one that the other acks.
func (r *reading) check(e *memstreamer.Event, newest int64) error {
	if e.ID <= newest {
		return fmt.Errorf("event %d of %s came again after its Ack", e.Type, e.ForeignID)
	}
	if number := e.Headers[memstreamer.HeaderRunID]; number != fmt.Sprint(e.Type) {
		return fmt.Errorf("event %d of %s has the header of event %s", e.Type, e.ForeignID, number)
	}
	clear(e.Headers)
	r.mu.Lock()
	defer r.mu.Unlock()
	if next := r.next[e.ForeignID]; r.readers == 1 && e.Type != next {
		return fmt.Errorf("event %d of %s came where event %d was next", e.Type, e.ForeignID, next)
	}
	return nil
}

// record notes that the Ack of e has returned.
func (r *reading) record(e *memstreamer.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked[e.ID] = fmt.Sprint(e.ForeignID, e.Type)
	r.newest = max(r.newest, e.ID)
	r.next[e.ForeignID] = e.Type + 1
	if len(r.acked) == stressSenders*stressEvents {
		r.finish()
	}
}
