package memwatermill_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
	"github.com/memstreamer/memstreamer/watermill/internal/hooked"
)

// A plant puts a fault around the adapter: into its configuration, beneath it or on
// top of it.
type plant func(*fixture)

func configured(f func(*config)) plant { return func(fx *fixture) { fx.configures = f } }

func beneath(f func(memstreamer.EventStreamer) memstreamer.EventStreamer) plant {
	return func(fx *fixture) { fx.wraps = f }
}

func onTop(f func(*fixture, *memwatermill.PubSub) pubSub) plant {
	return func(fx *fixture) { fx.covers = f }
}

func hooks(h hooked.Hooks) plant {
	return func(fx *fixture) {
		fx.wraps = func(memstreamer.EventStreamer) memstreamer.EventStreamer { return hooked.Wrap(fx.memory, h) }
	}
}

// unrelated has every PubSub on a streamer of its own, as it seems, so that they
// do not know of one another.
var unrelated = hooks(hooked.Hooks{})

// bare has none of the optional methods.
var bare = beneath(func(s memstreamer.EventStreamer) memstreamer.EventStreamer {
	return struct{ memstreamer.EventStreamer }{s}
})

// received has Recv return the error of f.
func received(f func(e *memstreamer.Event, ack memstreamer.Ack, err error) error) plant {
	return hooks(hooked.Hooks{Recv: func(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
		e, ack, err := r.EventReceiver.Recv(ctx)
		return e, ack, f(e, ack, err)
	}})
}

func ackFirst(_ *memstreamer.Event, ack memstreamer.Ack, err error) error {
	if err == nil {
		err = ack()
	}
	return err
}

func holdB(e *memstreamer.Event, _ memstreamer.Ack, err error) error {
	if err == nil && strings.HasPrefix(e.ForeignID, "b") {
		time.Sleep(time.Second)
	}
	return err
}

func ignoreClose(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
	e, ack, err := r.EventReceiver.Recv(ctx)
	if errors.Is(err, memstreamer.ErrClosed) {
		<-ctx.Done()
	}
	return e, ack, err
}

func sent(change func(*hooked.Outgoing)) plant {
	return hooks(hooked.Hooks{Send: func(ctx context.Context, s *hooked.Sender, e hooked.Outgoing) error {
		change(&e)
		return s.Pass(ctx, e)
	}})
}

// unescape sends the metadata as the headers they are.
func unescape(e *hooked.Outgoing) {
	headers := make(map[memstreamer.Header]string)
	for name, value := range e.Headers {
		if strings.HasSuffix(string(name), "topic") {
			name = name[1:]
		}
		headers[name] = value
	}
	e.Headers = headers
}

func mendText(e *hooked.Outgoing) { e.ForeignID = strings.ToValidUTF8(e.ForeignID, "?") }

// countOnce has Stats return the first.
func countOnce(s memstreamer.EventStreamer) memstreamer.EventStreamer {
	return &counted{s, sync.OnceValue(s.(*counted).stats)}
}

// countAll has Stats show ephemeral receivers as if they were of their name.
func countAll(s memstreamer.EventStreamer) memstreamer.EventStreamer {
	return &counted{s, func() memstreamer.Stats {
		stats := s.(*memstreamer.StreamConstructor).Stats()
		for i := range stats.Receivers {
			stats.Receivers[i].Ephemeral = false
		}
		return stats
	}}
}

// relay is a PubSub whose subscribers get changed copies, and a Nack of which is
// passed on as nack does.
type relay struct {
	*memwatermill.PubSub
	change func(*message.Message)
	nack   func(*message.Message) bool
}

func relayed(change func(*message.Message), nack func(*message.Message) bool) plant {
	return onTop(func(_ *fixture, p *memwatermill.PubSub) pubSub { return relay{p, change, nack} })
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
			relayed := m.CopyWithContext()
			r.change(relayed)
			select {
			case out <- relayed:
				go r.answer(m, relayed)
			case <-m.Context().Done():
			}
		}
	}()
	return out, nil
}

func (r relay) answer(m, relayed *message.Message) {
	select {
	case <-relayed.Acked():
		m.Ack()
	case <-relayed.Nacked():
		r.nack(m)
	case <-m.Context().Done():
	}
}

func changeNothing(*message.Message) {}

func holdSeventh(m *message.Message) {
	if m.UUID == "7" {
		<-m.Context().Done()
	}
}

// keepMetadata gives every message the metadata of the first.
func keepMetadata() func(*message.Message) {
	var first message.Metadata
	return func(m *message.Message) {
		if first == nil {
			first = m.Metadata
		}
		m.Metadata = first
	}
}

func withContext(of func(context.Context) context.Context) plant {
	return relayed(func(m *message.Message) { m.SetContext(of(m.Context())) }, (*message.Message).Nack)
}

func background(context.Context) context.Context { return context.Background() }

func canceled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// deaf is a PubSub that ignores the context of Subscribe.
type deaf struct{ *memwatermill.PubSub }

func deafen(_ *fixture, p *memwatermill.PubSub) pubSub { return deaf{p} }

func (d deaf) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	return d.PubSub.Subscribe(context.WithoutCancel(ctx), topic)
}

// undying is a PubSub that Close does not end.
type undying struct{ *memwatermill.PubSub }

func keepOpen(_ *fixture, p *memwatermill.PubSub) pubSub { return undying{p} }

func (undying) Close() error { return nil }

// hasty is a PubSub that refuses to publish when it refuses to subscribe.
type hasty struct{ *memwatermill.PubSub }

func hasten(_ *fixture, p *memwatermill.PubSub) pubSub { return hasty{p} }

func (h hasty) Publish(topic string, messages ...*message.Message) error {
	if err := h.SubscribeInitialize(topic); err != nil {
		return err
	}
	return h.PubSub.Publish(topic, messages...)
}

func leak(fx *fixture, p *memwatermill.PubSub) pubSub {
	go func() { <-fx.ctx.Done() }()
	return p
}
