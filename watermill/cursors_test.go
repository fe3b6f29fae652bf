package memwatermill_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/memstreamer/memstreamer"
)

func startsWhereItShould(fx *fixture) {
	fx.publish(topic, "a")
	for _, lanes := range []int{1, 4} {
		fx.subscribe(fx.pubSub(config{Lanes: lanes}), topic).next("a")
	}
	for _, lanes := range []int{1, 4} {
		newest := fx.subscribe(fx.pubSub(config{Lanes: lanes, StreamFromLatest: true}), topic)
		newest.none()
		fx.publish(topic, "b")
		newest.next("b").Ack()
		newest.none()
	}
	for _, lanes := range []int{1, 4} {
		c := config{ConsumerGroup: fmt.Sprint("billing", lanes), Lanes: lanes, StreamFromLatest: true}
		p := fx.pubSub(c)
		must(p.SubscribeInitialize(topic))
		fx.publish(topic, "c")
		fx.subscribe(p, topic).next("c").Ack()
		must(p.Close())
		fx.publish(topic, "d")
		fx.subscribe(fx.pubSub(c), topic).next("d").Ack()
	}
}

func nameIsForgotten(fx *fixture) {
	for i, lanes := range []int{1, 4, 1, 4} {
		p := fx.pubSub(config{Lanes: lanes})
		ctx, cancel := context.WithCancel(fx.ctx)
		defer cancel()
		messages, err := p.Subscribe(ctx, topic)
		must(err)
		fx.publish(topic, "a")
		deliveries(messages).next("a").Ack()
		receivers := fx.memory.Stats().Receivers
		if len(receivers) != lanes {
			failf("a subscription with %d lanes has %d cursors", lanes, len(receivers))
		}
		for _, r := range receivers {
			if !strings.HasPrefix(r.Name, "subscription-") {
				failf("a cursor is named %q", r.Name)
			}
		}
		if i < 2 {
			must(p.Close())
		} else {
			cancel()
			now()
		}
		if left := fx.memory.Stats().Receivers; len(left) > 0 {
			failf("the cursor %q is left", left[0].Name)
		}
	}
}

// nothingStaysOpen has a streamer forget all of its topics, which it does once they
// are empty and no sender or receiver is open.
func nothingStaysOpen(fx *fixture) {
	fx.memory = memstreamer.New(memstreamer.WithRetention(time.Hour))
	eachKind(func(c config, topic string) {
		p := fx.pubSub(c)
		must(p.SubscribeInitialize(topic))
		fx.publish(topic, "a")
		fx.subscribe(p, topic).next("a").Ack()
		must(p.Close())
	})
	time.Sleep(2 * time.Hour)
	if topics := fx.memory.Stats().Topics; len(topics) > 0 {
		failf("the topic %q is kept", topics[0].Topic)
	}
}
