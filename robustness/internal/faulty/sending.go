package faulty

import (
	"context"
	"maps"

	"github.com/memstreamer/memstreamer/internal/hooked"
)

// dropEvents has one Send in a thousand append nothing.
func dropEvents(p *planted) hooked.Hooks {
	return hooked.Hooks{Send: func(ctx context.Context, s *hooked.Sender, e hooked.Outgoing) error {
		if s.Usable(ctx) && p.every(1000) {
			p.fires()
			return nil
		}
		return s.Pass(ctx, e)
	}}
}

// reorder has one Send in twenty keep its event for the next Send to the topic,
// which appends its own before it.
func reorder(p *planted) hooked.Hooks {
	type held struct {
		by *hooked.Sender
		hooked.Outgoing
	}
	kept := map[string]held{} // by topic
	take := func(topic string) (held, bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		h, ok := kept[topic]
		delete(kept, topic)
		return h, ok
	}
	return hooked.Hooks{
		Send: func(ctx context.Context, s *hooked.Sender, e hooked.Outgoing) error {
			if !s.Usable(ctx) {
				return s.Pass(ctx, e)
			}
			if h, ok := take(s.TopicOf(e)); ok {
				if err := s.Pass(ctx, e); err != nil {
					return err
				}
				return h.by.Pass(context.Background(), h.Outgoing)
			}
			if !p.every(20) {
				return s.Pass(ctx, e)
			}
			p.fires()
			e.Headers = maps.Clone(e.Headers)
			p.mu.Lock()
			defer p.mu.Unlock()
			kept[s.TopicOf(e)] = held{s, e}
			return nil
		},
		CloseSender: func(s *hooked.Sender) error {
			p.mu.Lock()
			var late []hooked.Outgoing
			for topic, h := range kept {
				if h.by == s {
					late = append(late, h.Outgoing)
					delete(kept, topic)
				}
			}
			p.mu.Unlock()
			for _, e := range late {
				_ = s.Pass(context.Background(), e)
			}
			return s.EventSender.Close()
		},
	}
}
