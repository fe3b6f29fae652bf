package faulty

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/memstreamer/memstreamer"
)

// rewindOnLateAck has one late ack in ten move its cursor back, to where the
// event acked late was the newest acked.
func rewindOnLateAck(w *wrapper) {
	type progress struct {
		acked     int64
		delivered []memstreamer.Event
		again     []memstreamer.Event // what the cursor has gone back over
	}
	cursors := map[cursor]*progress{}
	w.recv = func(ctx context.Context, r *receiver) (*memstreamer.Event, memstreamer.Ack, error) {
		w.mu.Lock()
		p := cursors[r.cursor]
		if p == nil {
			p = &progress{}
			cursors[r.cursor] = p
		}
		var again *memstreamer.Event
		if len(p.again) > 0 {
			e := p.again[0]
			e.Headers = maps.Clone(e.Headers)
			again = &e
		}
		w.mu.Unlock()
		if again != nil && w.usable(ctx, r.done) {
			return again, func() error {
				w.mu.Lock()
				defer w.mu.Unlock()
				if len(p.again) > 0 && p.again[0].ID == again.ID {
					p.again = p.again[1:]
				}
				return nil
			}, nil
		}
		event, ack, err := r.EventReceiver.Recv(ctx)
		if err != nil {
			return nil, nil, err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := len(p.delivered); n == 0 || p.delivered[n-1].ID < event.ID {
			e := *event
			e.Headers = maps.Clone(e.Headers)
			// A late ack is of one of the last.
			p.delivered = append(p.delivered[max(0, n-100):], e)
		}
		id := event.ID
		return event, func() error {
			w.mu.Lock()
			if id < p.acked && w.fault.every(10) {
				w.fault.fired.Add(1)
				p.again = slices.DeleteFunc(slices.Clone(p.delivered), func(e memstreamer.Event) bool {
					return e.ID <= id || e.ID > p.acked
				})
			}
			p.acked = max(p.acked, id)
			w.mu.Unlock()
			return ack()
		}, nil
	}
}

// loseWakeUps has one Recv in ten that a Send has woken go on waiting, as if it
// had not been: until the next Send to the topic, or the end of its context or
// receiver.
func loseWakeUps(w *wrapper) {
	next := map[string]chan struct{}{} // by topic, closed by the next Send
	w.send = func(ctx context.Context, s *sender, e outgoing) error {
		w.mu.Lock()
		topic := s.topicOf(e)
		if c := next[topic]; c != nil {
			close(c)
			delete(next, topic)
		}
		w.mu.Unlock()
		return s.pass(ctx, e)
	}
	w.recv = func(ctx context.Context, r *receiver) (*memstreamer.Event, memstreamer.Ack, error) {
		probe := newProbe(ctx)
		defer probe.cancel()
		event, ack, err := r.EventReceiver.Recv(probe)
		if ctx.Err() != nil || !errors.Is(err, context.Canceled) {
			return event, ack, err
		}
		event, ack, err = r.EventReceiver.Recv(ctx)
		if err != nil || !w.fault.every(10) {
			return event, ack, err
		}
		w.fault.fired.Add(1)
		w.mu.Lock()
		sent := next[r.cursor.topic]
		if sent == nil {
			sent = make(chan struct{})
			next[r.cursor.topic] = sent
		}
		w.mu.Unlock()
		select {
		case <-sent:
		case <-ctx.Done():
		case <-r.done:
		case <-w.done:
		}
		return r.EventReceiver.Recv(ctx)
	}
}

// probe is a context that is cancelled by the first call of Done, which Recv
// makes only when it is about to park.
type probe struct {
	context.Context
	cancel context.CancelFunc
}

func newProbe(ctx context.Context) probe {
	ctx, cancel := context.WithCancel(ctx)
	return probe{ctx, cancel}
}

func (p probe) Done() <-chan struct{} {
	p.cancel()
	return p.Context.Done()
}

// shareCursors has receivers of one name share the ID up to which they have
// acked, whatever their topics.
func shareCursors(w *wrapper) {
	acked := map[cursor]int64{}
	shared := map[string]int64{} // by name
	w.recv = func(ctx context.Context, r *receiver) (*memstreamer.Event, memstreamer.Ack, error) {
		for {
			event, ack, err := r.EventReceiver.Recv(ctx)
			if err != nil {
				return nil, nil, err
			}
			id := event.ID
			w.mu.Lock()
			skip := id <= shared[r.cursor.name] && id > acked[r.cursor]
			w.mu.Unlock()
			if !skip {
				return event, func() error {
					w.mu.Lock()
					acked[r.cursor] = max(acked[r.cursor], id)
					shared[r.cursor.name] = max(shared[r.cursor.name], id)
					w.mu.Unlock()
					return ack()
				}, nil
			}
			w.fault.fired.Add(1)
			if err := ack(); err != nil {
				return nil, nil, err
			}
		}
	}
}

// trimEarly has one trimming of a topic in ten take one event more than it
// should.
func trimEarly(w *wrapper) {
	first := map[string]int64{}   // by topic, as retention has left it
	trimmed := map[string]int64{} // by topic, the ID up to which nothing is there
	w.recv = func(ctx context.Context, r *receiver) (*memstreamer.Event, memstreamer.Ack, error) {
		for {
			w.trim(first, trimmed)
			event, ack, err := r.EventReceiver.Recv(ctx)
			if err != nil {
				return nil, nil, err
			}
			w.mu.Lock()
			there := event.ID > trimmed[r.cursor.topic]
			w.mu.Unlock()
			if there {
				return event, ack, nil
			}
			w.fault.fired.Add(1)
			if err := ack(); err != nil {
				return nil, nil, err
			}
		}
	}
}

// trim looks for topics whose oldest event has changed, and trims that too.
func (w *wrapper) trim(first, trimmed map[string]int64) {
	stats := w.Stats()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range stats.Topics {
		if known, ok := first[t.Topic]; ok && t.FirstID > known && known > 0 && w.fault.every(10) {
			trimmed[t.Topic] = t.FirstID
		}
		first[t.Topic] = t.FirstID
	}
}
