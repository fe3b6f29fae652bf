package faulty

import (
	"context"
	"slices"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/hooked"
)

// trimEarly has one trimming of a topic in ten take one event more than it
// should.
func trimEarly(p *planted) hooked.Hooks {
	first := map[string]int64{}   // by topic, as retention has left it
	trimmed := map[string]int64{} // by topic, the ID up to which nothing is there
	skip := hooked.Pass(func(r *hooked.Receiver, e *memstreamer.Event) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if e.ID > trimmed[r.Topic] {
			return false
		}
		p.fires()
		return true
	})
	return hooked.Hooks{Recv: func(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
		stats := p.streamer.Stats()
		p.mu.Lock()
		for _, t := range stats.Topics {
			if known := first[t.Topic]; known > 0 && t.FirstID > known && p.every(10) {
				trimmed[t.Topic] = t.FirstID
			}
			first[t.Topic] = t.FirstID
		}
		p.mu.Unlock()
		return skip(ctx, r)
	}}
}

// dropWhatTheClosedHold has a name whose receivers are all closed keep nothing
// that is older than the period: it is gone when the next one is opened.
func dropWhatTheClosedHold(p *planted) hooked.Hooks {
	open := map[cursor]int{}
	dropped := map[cursor]time.Time{} // what was sent before it
	return hooked.Hooks{
		NewReceiver: func(ctx context.Context, s *hooked.Streamer, topic, name string, opts []memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
			r, err := s.OpenReceiver(ctx, topic, name, opts...)
			if err == nil && p.retention > 0 {
				oldest := p.clock.Now().Add(-p.retention)
				p.mu.Lock()
				defer p.mu.Unlock()
				c := cursor{topic, name}
				if open[c] == 0 {
					dropped[c] = oldest
				}
				open[c]++
			}
			return r, err
		},
		Recv: hooked.Pass(func(r *hooked.Receiver, e *memstreamer.Event) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			if !e.CreatedAt.Before(dropped[cursorOf(r)]) {
				return false
			}
			p.fires()
			return true
		}),
		CloseReceiver: func(r *hooked.Receiver) error {
			p.mu.Lock()
			if r.Closes() == 1 {
				open[cursorOf(r)]--
			}
			p.mu.Unlock()
			return r.EventReceiver.Close()
		},
	}
}

// giveNewNamesOldEvents has a new name start at the oldest event there is, also
// where that is older than the period and kept for other names alone.
func giveNewNamesOldEvents(p *planted) hooked.Hooks {
	known := map[string][]memstreamer.Event{} // by topic, what was delivered and is kept
	return hooked.Hooks{
		NewReceiver: func(ctx context.Context, s *hooked.Streamer, topic, name string, opts []memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
			stats := p.streamer.Stats()
			remembered := slices.ContainsFunc(stats.Receivers, func(r memstreamer.ReceiverStats) bool {
				return r.Topic == topic && r.Name == name
			})
			r, err := s.OpenReceiver(ctx, topic, name, opts...)
			if err != nil || remembered || len(opts) > 0 || p.retention == 0 {
				return r, err
			}
			oldest := p.clock.Now().Add(-p.retention)
			i := slices.IndexFunc(stats.Topics, func(t memstreamer.TopicStats) bool { return t.Topic == topic && t.Retained > 0 })
			p.mu.Lock()
			defer p.mu.Unlock()
			for i >= 0 && len(known[topic]) > 0 && known[topic][0].ID < stats.Topics[i].FirstID {
				known[topic] = known[topic][1:]
			}
			if i >= 0 && len(known[topic]) > 0 && known[topic][0].CreatedAt.Before(oldest) {
				p.fires()
				p.again[cursor{topic, name}] = slices.Clone(known[topic][:1])
			}
			return r, nil
		},
		Recv: func(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
			event, ack, err := p.recv(ctx, r)
			if err != nil {
				return nil, nil, err
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if n := len(known[r.Topic]); n == 0 || known[r.Topic][n-1].ID < event.ID {
				known[r.Topic] = append(known[r.Topic], clone(event))
			}
			return event, ack, nil
		},
	}
}
