package memwatermill_test

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

func unackedComesAgain(fx *fixture) {
	eachGroup(func(c config, topic string) {
		fx.publish(topic, "a")
		first := fx.pubSub(c)
		fx.subscribe(first, topic).next("a")
		must(first.Close())
		second := fx.pubSub(c)
		fx.subscribe(second, topic).next("a").Ack()
		must(second.Close())
		fx.subscribe(fx.pubSub(c), topic).none()
	})
}

func nackedComesAgain(fx *fixture) {
	eachKind(func(c config, topic string) {
		fx.publish(topic, "a")
		in := fx.subscribe(fx.pubSub(c), topic)
		for range 3 {
			m := in.next("a")
			m.Metadata.Set("seen", "yes") // of this delivery
			m.Nack()
		}
		m := in.next("a")
		if m.Metadata.Get("seen") != "" {
			failf("a delivery has the metadata that was set on the one before")
		}
		m.Ack()
		in.none()
	})
}

func nackDelayGrows(fx *fixture) {
	fx.publish(topic, "a", "b")
	in := fx.subscribe(fx.pubSub(config{NackDelay: time.Second, MaxNackDelay: 5 * time.Second}), topic)
	for _, uuid := range []string{"a", "b"} {
		in.next(uuid).Nack()
		for _, want := range []time.Duration{1, 2, 4, 5, 5} {
			nacked := time.Now()
			m := in.next(uuid)
			if got := time.Since(nacked); got != want*time.Second {
				failf("message %s came again after %v, not %v", uuid, got, want*time.Second)
			}
			m.Nack()
		}
		in.next(uuid).Ack()
	}
	in.none()
}

func travelsUnchanged(fx *fixture) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	sent := []*message.Message{
		message.NewMessage("", nil),
		message.NewMessage("a", nil),
		message.NewMessage("b", every),
		message.NewMessage(string(every), message.Payload("c")),
		message.NewMessage("d", message.Payload("text")),
		{UUID: "no metadata"},
	}
	sent[1].Metadata = message.Metadata{"topic": "elsewhere", "_topic": "1", "__topic": "2", "topics": "3", "": "4", "on_topic": "5"}
	sent[2].Metadata = message.Metadata{string(every): string(every), "_": "", "topic": ""}
	elsewhere := fx.subscribe(fx.pubSub(config{}), "elsewhere")
	eachKind(func(c config, topic string) {
		c.LaneKey = sameKey
		p := fx.pubSub(c)
		must(p.Publish(topic, sent...))
		in := fx.subscribe(p, topic)
		for _, want := range sent {
			got := in.next(want.UUID)
			if !got.Equals(want) {
				failf("the message with metadata %q and payload %q came with %q and %q", want.Metadata, want.Payload, got.Metadata, got.Payload)
			}
			got.Metadata.Set("may be", "set")
			got.Ack()
		}
	})
	elsewhere.none()
}

func messageContext(fx *fixture) {
	type key struct{}
	eachKind(func(c config, topic string) {
		fx.publish(topic, "a")
		messages, err := fx.pubSub(c).Subscribe(context.WithValue(fx.ctx, key{}, "value"), topic)
		must(err)
		for _, answer := range []func(*message.Message) bool{(*message.Message).Nack, (*message.Message).Ack} {
			m := deliveries(messages).next("a")
			if m.Context().Value(key{}) != "value" {
				failf("the message's context has no values of the subscription's")
			}
			now()
			if m.Context().Err() != nil {
				failf("the message's context is done before its Ack")
			}
			answer(m)
			done(m)
		}
	})
}

// done fails unless the context of m is done.
func done(m *message.Message) {
	now()
	if m.Context().Err() != context.Canceled {
		failf("the message's context is not done")
	}
}
