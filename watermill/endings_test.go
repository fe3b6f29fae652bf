package memwatermill_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
	"github.com/memstreamer/memstreamer/watermill/internal/hooked"
)

func contextEndsSubscription(fx *fixture) {
	eachKind(func(c config, topic string) {
		p := fx.pubSub(c)
		ctx, cancel := context.WithCancel(fx.ctx)
		fx.publish(topic, "a", "b")
		messages, err := p.Subscribe(ctx, topic)
		must(err)
		first := <-messages
		cancel()
		done(first)
		time.Sleep(time.Second)
		first.Ack() // in time
		deliveries(messages).ended()
		if c.ConsumerGroup != "" {
			other := map[string]string{"a": "b", "b": "a"}[first.UUID]
			again := fx.subscribe(p, topic)
			again.next(other).Ack()
			again.none()
		}
	})
}

func closeWaits(fx *fixture) {
	eachKind(func(c config, topic string) {
		p := fx.pubSub(c)
		fx.publish(topic, "a")
		m := fx.subscribe(p, topic).next("a")
		closed := start(p.Close)
		select {
		case <-closed:
			failf("Close did not wait for the message in flight")
		case <-time.After(time.Second):
		}
		if m.Context().Err() != nil {
			failf("the message's context is done while Close waits for it")
		}
		if _, err := p.Subscribe(fx.ctx, topic); !errors.Is(err, memwatermill.ErrClosed) {
			failf("Subscribe returned the error %v during Close", err)
		}
		if err := p.Publish("results", m.Copy()); err != nil {
			failf("Publish during Close: %v", err)
		}
		m.Ack()
		must(<-closed)
		if err := p.Publish("results", m.Copy()); !errors.Is(err, memwatermill.ErrClosed) {
			failf("Publish returned the error %v after Close", err)
		}
		if c.ConsumerGroup != "" {
			fx.subscribe(fx.pubSub(c), topic).none()
		}
	})
}

func closeGivesUp(fx *fixture) {
	eachKind(func(c config, topic string) {
		c.CloseTimeout = time.Minute
		p := fx.pubSub(c)
		fx.publish(topic, "a")
		in := fx.subscribe(p, topic)
		m := in.next("a")
		started := time.Now()
		must(p.Close())
		if waited := time.Since(started); waited != c.CloseTimeout {
			failf("Close waited for %v, not %v", waited, c.CloseTimeout)
		}
		done(m)
		in.ended()
	})
}

func closeLeavesNothing(fx *fixture) {
	before := goleak.IgnoreCurrent()
	eachKind(func(c config, topic string) {
		p := fx.pubSub(c)
		fx.publish(topic, "acked", "nacked")
		in := fx.subscribe(p, topic)
		fx.subscribe(p, "nothing there")
		for range 2 {
			if m := <-in; m.UUID == "acked" {
				m.Ack()
			} else {
				m.Nack()
			}
			now()
		}
		must(p.Close())
		must(p.Close())
		in.ended()
		if err := goleak.Find(before); err != nil {
			failf("after Close: %v", err)
		}
	})
}

var errFlaky = errors.New("the streamer's own error")

// flaky returns memory, of which two in three calls of Send, Recv and Ack fail, and
// have no effect. A receiver that has failed fails for good, as one of JetStream
// whose consumer is gone: it has to be opened again.
func flaky(memory *memstreamer.StreamConstructor) memstreamer.EventStreamer {
	var received atomic.Int64
	fails := func(calls *atomic.Int64) bool { return calls.Add(1)%3 != 0 }
	return hooked.Wrap(memory, hooked.Hooks{
		Send: func(ctx context.Context, s *hooked.Sender, e hooked.Outgoing) error {
			if fails(&s.Count) {
				return errFlaky
			}
			return s.Pass(ctx, e)
		},
		Recv: func(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
			if r.Count.Load() > 0 || fails(&received) {
				r.Count.Add(1)
				return nil, nil, errFlaky
			}
			return r.EventReceiver.Recv(ctx)
		},
		Ack: func(d *hooked.Delivery) error {
			if fails(&d.Count) {
				return errFlaky
			}
			return d.Commit()
		},
	})
}

func streamerFails(fx *fixture) {
	eachKind(func(c config, topic string) {
		c.LaneKey = sameKey
		fx.beneath = flaky(fx.memory)
		p := fx.pubSub(c)
		in := fx.subscribe(p, topic)
		fx.beneath = nil
		for i := range 20 {
			uuid := fmt.Sprint(i)
			fx.publish(topic, uuid)
			in.next(uuid).Ack()
		}
		in.none()

		fx.publish(topic, "last")
		last := in.next("last")
		closed := start(p.Close)
		now()
		last.Ack() // in time
		must(<-closed)
		if c.ConsumerGroup != "" {
			fx.subscribe(fx.pubSub(c), topic).none()
		}
	})
}

func streamerCloses(fx *fixture) {
	p := fx.pubSub(config{})
	in := fx.subscribe(p, topic)
	lanes := fx.subscribe(fx.pubSub(config{ConsumerGroup: "billing", Lanes: 4}), topic)
	must(fx.memory.Close())
	in.ended()
	lanes.ended()
	must(p.Close())
}
