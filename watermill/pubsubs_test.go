package memwatermill_test

import (
	"context"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// relay is a PubSub whose subscribers get what in makes of each message. out
// passes on how they answered.
type relay struct {
	*memwatermill.PubSub
	w        *world
	in       func(m *message.Message) *message.Message
	out      func(m, relayed *message.Message)
	keepOpen bool // the channel, after the end
}

func (r relay) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	messages, err := r.PubSub.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	go func() {
		defer close(out)
		for m := range messages {
			relayed := r.in(m)
			select {
			case out <- relayed:
				go r.out(m, relayed)
			case <-m.Context().Done():
			}
		}
		if r.keepOpen {
			<-r.w.ctx.Done()
		}
	}()
	return out, nil
}

// relayed makes a relay of copies, each changed.
func relayed(out func(m, relayed *message.Message), changes ...func(*message.Message)) func(*world, *memwatermill.PubSub) pubSub {
	return func(w *world, p *memwatermill.PubSub) pubSub {
		return relay{PubSub: p, w: w, out: out, in: func(m *message.Message) *message.Message {
			c := copied(m)
			for _, change := range changes {
				change(c)
			}
			return c
		}}
	}
}

func copied(m *message.Message) *message.Message {
	c := m.Copy()
	c.SetContext(m.Context())
	return c
}

func answer(m, relayed *message.Message) {
	select {
	case <-relayed.Acked():
		m.Ack()
	case <-relayed.Nacked():
		m.Nack()
	case <-m.Context().Done():
	}
}

func acknowledge(m, relayed *message.Message) {
	select {
	case <-relayed.Acked():
		m.Ack()
	case <-relayed.Nacked():
		m.Ack()
	case <-m.Context().Done():
	}
}

// deaf is a PubSub that ignores the context of Subscribe.
type deaf struct{ *memwatermill.PubSub }

func (d deaf) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	return d.PubSub.Subscribe(context.WithoutCancel(ctx), topic)
}

// hasty is a PubSub that refuses to publish as soon as it is being closed.
type hasty struct {
	*memwatermill.PubSub
	closing atomic.Bool
}

func (h *hasty) Publish(topic string, messages ...*message.Message) error {
	if h.closing.Load() {
		return memwatermill.ErrClosed
	}
	return h.PubSub.Publish(topic, messages...)
}

func (h *hasty) Close() error {
	h.closing.Store(true)
	return h.PubSub.Close()
}

// rerouting is a PubSub that sends the metadata as the headers they are.
type rerouting struct {
	*memwatermill.PubSub
	w *world
}

func (r rerouting) Publish(topic string, messages ...*message.Message) error {
	s, err := r.w.memory.NewSender(r.w.ctx, topic)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, m := range messages {
		headers := make(map[memstreamer.Header]string)
		for key, value := range m.Metadata {
			headers[memstreamer.Header(key)] = value
		}
		if err := s.Send(m.Context(), m.UUID+string(m.Payload), ^len(m.UUID), headers); err != nil {
			return err
		}
	}
	return nil
}

// undying is a PubSub that Close does not end.
type undying struct{ *memwatermill.PubSub }

func (undying) Close() error { return nil }
