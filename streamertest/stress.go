package streamertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/judge"
)

const (
	stressSenders = 3   // of each topic
	stressEvents  = 100 // of each sender
)

// stress has senders and receivers of two topics at work at once, while contexts
// end, receivers are closed and opened again, and acks are lost, late and
// repeated. Each name must get the events of each sender in order, and none from a
// Recv that began after that event's Ack had returned.
func stress(t *trial) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var works []func() error
	readings := make(map[string][]*reading)
	for _, topic := range []string{"orders", "invoices"} {
		for _, name := range []string{"a", "b", "shared"} {
			r := &reading{t: t, topic: topic, name: name, acked: make(map[int64]string)}
			r.ctx, r.finish = context.WithCancel(ctx)
			defer r.finish()
			readers := 1
			if name == "shared" {
				readers = 2
			}
			for range readers {
				random := rand.New(rand.NewPCG(1, uint64(len(works))))
				works = append(works, func() error { return r.read(random) })
			}
			readings[topic] = append(readings[topic], r)
		}
		for i := range stressSenders {
			s, elsewhere := t.sender(topic), t.sender("elsewhere")
			works = append(works, func() error { return sendAll(ctx, i, s, elsewhere, t.topic(topic)) })
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

// sendAll sends numbered events, every third by its header through the sender of another
// topic. It changes the one map that it has for their headers from each to the next.
func sendAll(ctx context.Context, number int, s, elsewhere memstreamer.EventSender, topic string) error {
	headers := make(map[memstreamer.Header]string)
	for i := range stressEvents {
		runtime.Gosched() // or the readers find all of them there, and never wait
		by := s
		delete(headers, memstreamer.HeaderTopic)
		if i%3 == 0 {
			by, headers[memstreamer.HeaderTopic] = elsewhere, topic
		}
		headers[memstreamer.HeaderRunID] = fmt.Sprint(i)
		if err := by.Send(ctx, fmt.Sprint(number), i, headers); err != nil && ctx.Err() == nil {
			return fmt.Errorf("sender %d: Send: %w", number, err)
		}
	}
	return nil
}

// reading is what the receivers of one topic and name have got so far.
type reading struct {
	t           *trial
	topic, name string
	ctx         context.Context // done when there is no more to get
	finish      context.CancelFunc

	mu      sync.Mutex
	acked   map[int64]string // by ID, which event of which sender
	cursors [stressSenders]judge.Cursor
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
		var marks [stressSenders]judge.Mark
		r.mu.Lock()
		for i := range marks {
			marks[i] = r.cursors[i].Receiving()
		}
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
		if err := r.got(c, marks, random.IntN(8) > 0, late); err != nil {
			return err
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

// got judges an event, and acks it or not. late is of an older event, or of this one.
func (r *reading) got(c *call, marks [stressSenders]judge.Mark, ack bool, late memstreamer.Ack) error {
	e := c.event
	sender, err := strconv.Atoi(e.ForeignID)
	if err != nil || sender < 0 || sender >= stressSenders {
		return fmt.Errorf("event %q was not sent", e.ForeignID)
	}
	if number := e.Headers[memstreamer.HeaderRunID]; number != fmt.Sprint(e.Type) {
		return fmt.Errorf("event %d of sender %d has the header of event %s", e.Type, sender, number)
	}
	clear(e.Headers)
	place := int64(e.Type)
	r.mu.Lock()
	defer r.mu.Unlock()
	cursor, mark := &r.cursors[sender], marks[sender]
	switch next := cursor.Low(); cursor.Received(mark, place) {
	case judge.Skipped:
		return fmt.Errorf("event %d of sender %d came where event %d was next", place, sender, next)
	case judge.Behind:
		return fmt.Errorf("event %d of sender %d came again after its Ack", place, sender)
	}
	if !ack {
		return nil
	}
	cursor.Acking(place)
	// A call of the streamer may wait for others, but not for these.
	r.mu.Unlock()
	err = errors.Join(c.ack(), late())
	r.mu.Lock()
	if err != nil {
		return fmt.Errorf("on Ack: %w", err)
	}
	cursor.Acked(mark, place)
	r.acked[e.ID] = fmt.Sprint(sender, place)
	if len(r.acked) == stressSenders*stressEvents {
		r.finish()
	}
	return nil
}
