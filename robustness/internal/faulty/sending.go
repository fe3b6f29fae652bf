package faulty

import (
	"context"
	"maps"
)

// dropEvents has one Send in a thousand append nothing.
func dropEvents(w *wrapper) {
	w.send = func(ctx context.Context, s *sender, e outgoing) error {
		if w.usable(ctx, s.done) && w.fault.every(1000) {
			w.fault.fired.Add(1)
			return nil
		}
		return s.pass(ctx, e)
	}
}

// reorder has one Send in twenty keep its event for the next Send to the topic,
// which appends its own before it.
func reorder(w *wrapper) {
	type held struct {
		by *sender
		outgoing
	}
	kept := map[string]held{} // by topic
	take := func(topic string) (held, bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		h, ok := kept[topic]
		delete(kept, topic)
		return h, ok
	}
	w.send = func(ctx context.Context, s *sender, e outgoing) error {
		if !w.usable(ctx, s.done) {
			return s.pass(ctx, e)
		}
		if h, ok := take(s.topicOf(e)); ok {
			if err := s.pass(ctx, e); err != nil {
				return err
			}
			return h.by.pass(context.Background(), h.outgoing)
		}
		if w.fault.every(20) {
			w.fault.fired.Add(1)
			e.headers = maps.Clone(e.headers)
			w.mu.Lock()
			defer w.mu.Unlock()
			kept[s.topicOf(e)] = held{s, e}
			return nil
		}
		return s.pass(ctx, e)
	}
	w.closing = func(s *sender) {
		w.mu.Lock()
		var late []outgoing
		for topic, h := range kept {
			if h.by == s {
				late = append(late, h.outgoing)
				delete(kept, topic)
			}
		}
		w.mu.Unlock()
		for _, e := range late {
			_ = s.pass(context.Background(), e)
		}
	}
}
