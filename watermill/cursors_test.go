package memwatermill_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/memstreamer/memstreamer"
)

func startsWhereItShould(w *world) {
	w.publish(topic, "a")
	for _, lanes := range []int{1, 4} {
		w.subscribe(w.pubSub(config{Lanes: lanes}), topic).next("a")
	}
	for _, lanes := range []int{1, 4} {
		newest := w.subscribe(w.pubSub(config{Lanes: lanes, StreamFromLatest: true}), topic)
		newest.none()
		w.publish(topic, "b")
		newest.next("b").Ack()
		newest.none()
	}
	for _, lanes := range []int{1, 4} {
		c := config{ConsumerGroup: fmt.Sprint("billing", lanes), Lanes: lanes, StreamFromLatest: true}
		p := w.pubSub(c)
		must(p.SubscribeInitialize(topic))
		w.publish(topic, "c")
		w.subscribe(p, topic).next("c").Ack()
		must(p.Close())
		w.publish(topic, "d")
		w.subscribe(w.pubSub(c), topic).next("d").Ack()
	}
}

func nameIsForgotten(w *world) {
	for i, lanes := range []int{1, 4, 1, 4} {
		p := w.pubSub(config{Lanes: lanes})
		ctx, cancel := context.WithCancel(w.ctx)
		defer cancel()
		messages, err := p.Subscribe(ctx, topic)
		must(err)
		w.publish(topic, "a")
		inbox(messages).next("a").Ack()
		receivers := w.memory.Stats().Receivers
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
		if left := w.memory.Stats().Receivers; len(left) > 0 {
			failf("the cursor %q is left", left[0].Name)
		}
	}
}

// nothingStaysOpen has a streamer forget all of its topics, which it does once they
// are empty and no sender or receiver is open.
func nothingStaysOpen(w *world) {
	w.memory = memstreamer.New(memstreamer.WithRetention(time.Hour))
	eachKind(func(c config, topic string) {
		p := w.pubSub(c)
		must(p.SubscribeInitialize(topic))
		w.publish(topic, "a")
		w.subscribe(p, topic).next("a").Ack()
		must(p.Close())
	})
	time.Sleep(2 * time.Hour)
	if topics := w.memory.Stats().Topics; len(topics) > 0 {
		failf("the topic %q is kept", topics[0].Topic)
	}
}
