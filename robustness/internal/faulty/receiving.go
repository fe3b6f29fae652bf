package faulty

import (
	"context"
	"slices"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/hooked"
)

// rewindOnLateAck has one late ack in ten move its cursor back, to where the
// event acked late was the newest acked.
func rewindOnLateAck(p *planted) hooked.Hooks {
	acked := map[cursor]int64{}
	delivered := map[cursor][]memstreamer.Event{} // the last hundred, which a late ack is of one of
	return hooked.Hooks{
		Recv: func(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
			event, ack, err := p.recv(ctx, r)
			if err != nil {
				return nil, nil, err
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			c := cursorOf(r)
			if n := len(delivered[c]); n == 0 || delivered[c][n-1].ID < event.ID {
				delivered[c] = append(delivered[c][max(0, n-99):], clone(event))
			}
			return event, ack, nil
		},
		Ack: func(d *hooked.Delivery) error {
			c, id := cursorOf(d.Receiver), d.Event.ID
			p.mu.Lock()
			if id < acked[c] && p.every(10) {
				p.fires()
				p.again[c] = slices.DeleteFunc(slices.Clone(delivered[c]), func(e memstreamer.Event) bool {
					return e.ID <= id || e.ID > acked[c]
				})
			}
			acked[c] = max(acked[c], id)
			p.mu.Unlock()
			return d.Commit()
		},
	}
}

// loseWakeUps has one Recv in ten that a Send has woken go on waiting, as if it
// had not been: until the next Send to the topic, or the end of its context or
// receiver.
func loseWakeUps(p *planted) hooked.Hooks {
	next := map[string]chan struct{}{} // by topic, closed by the next Send
	return hooked.Hooks{
		Send: func(ctx context.Context, s *hooked.Sender, e hooked.Outgoing) error {
			p.mu.Lock()
			if sent := next[s.TopicOf(e)]; sent != nil {
				close(sent)
				delete(next, s.TopicOf(e))
			}
			p.mu.Unlock()
			return s.Pass(ctx, e)
		},
		Recv: func(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
			event, ack, err := r.Poll(ctx)
			if err != hooked.ErrWaits {
				return event, ack, err
			}
			event, ack, err = r.EventReceiver.Recv(ctx)
			if err != nil || !p.every(10) {
				return event, ack, err
			}
			p.fires()
			p.mu.Lock()
			sent := next[r.Topic]
			if sent == nil {
				sent = make(chan struct{})
				next[r.Topic] = sent
			}
			p.mu.Unlock()
			select {
			case <-sent:
			case <-ctx.Done():
			case <-r.Done():
			case <-r.Streamer.Done():
			}
			return r.EventReceiver.Recv(ctx)
		},
	}
}

// shareCursors has receivers of one name share the ID up to which they have
// acked, whatever their topics.
func shareCursors(p *planted) hooked.Hooks {
	acked := map[cursor]int64{}
	shared := map[string]int64{} // by name
	return hooked.Hooks{
		Recv: hooked.Pass(func(r *hooked.Receiver, e *memstreamer.Event) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			if e.ID > shared[r.Name] || e.ID <= acked[cursorOf(r)] {
				return false
			}
			p.fires()
			return true
		}),
		Ack: func(d *hooked.Delivery) error {
			c, id := cursorOf(d.Receiver), d.Event.ID
			p.mu.Lock()
			acked[c] = max(acked[c], id)
			shared[c.name] = max(shared[c.name], id)
			p.mu.Unlock()
			return d.Commit()
		},
	}
}
