package memwatermill_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

const topic = "orders"

var checks = []check{
	{"UnackedComesAgain", unackedComesAgain},
	{"NackedComesAgain", nackedComesAgain},
	{"NackDelayGrows", nackDelayGrows},
	{"OneInFlight", oneInFlight},
	{"TravelsUnchanged", travelsUnchanged},
	{"StartsWhereItShould", startsWhereItShould},
	{"NameIsForgotten", nameIsForgotten},
	{"LanesKeepKeysInOrder", lanesKeepKeysInOrder},
	{"StuckHoldsItsLane", stuckHoldsItsLane},
	{"OthersTakeOver", othersTakeOver},
	{"LanesChange", lanesChange},
	{"MessageContext", messageContext},
	{"ContextEndsSubscription", contextEndsSubscription},
	{"CloseWaits", closeWaits},
	{"CloseGivesUp", closeGivesUp},
	{"CloseLeavesNothing", closeLeavesNothing},
	{"StreamerFails", streamerFails},
	{"StreamerCloses", streamerCloses},
}

func TestBehaviour(t *testing.T) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.try(t, fault{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// eachKind runs f for the ways to subscribe.
func eachKind(f func(config memwatermill.Config, topic string)) {
	for _, group := range []string{"", "billing"} {
		for _, lanes := range []int{1, 4} {
			f(memwatermill.Config{ConsumerGroup: group, Lanes: lanes}, fmt.Sprintf("%s-%d", group, lanes))
		}
	}
}

func unackedComesAgain(w *world) {
	for _, lanes := range []int{1, 4} {
		config, topic := memwatermill.Config{ConsumerGroup: "billing", Lanes: lanes}, fmt.Sprint(topic, lanes)
		w.publish(topic, texts("a")...)
		first := w.pubSub(config)
		next(w.subscribe(first, topic), "a")
		must(first.Close())
		second := w.pubSub(config)
		next(w.subscribe(second, topic), "a").Ack()
		must(second.Close())
		none(w.subscribe(w.pubSub(config), topic))
	}
}

func nackedComesAgain(w *world) {
	eachKind(func(config memwatermill.Config, topic string) {
		w.publish(topic, texts("a")...)
		messages := w.subscribe(w.pubSub(config), topic)
		for range 3 {
			m := next(messages, "a")
			m.Metadata.Set("seen", "yes") // of this delivery
			m.Nack()
		}
		m := next(messages, "a")
		if m.Metadata.Get("seen") != "" {
			failf("a delivery has the metadata that was set on the one before")
		}
		m.Ack()
		none(messages)
	})
}

func nackDelayGrows(w *world) {
	p := w.pubSub(memwatermill.Config{NackDelay: time.Second, MaxNackDelay: 5 * time.Second})
	w.publish(topic, texts("a", "b")...)
	messages := w.subscribe(p, topic)
	for _, uuid := range []string{"a", "b"} {
		next(messages, uuid).Nack()
		for _, want := range []time.Duration{1, 2, 4, 5, 5} {
			nacked := time.Now()
			m := next(messages, uuid)
			if got := time.Since(nacked); got != want*time.Second {
				failf("message %s came again after %v, not %v", uuid, got, want*time.Second)
			}
			m.Nack()
		}
		next(messages, uuid).Ack()
	}
	none(messages)
}

// oneInFlight has two PubSubs of one group, of which one alone may have a
// message: one for each lane.
func oneInFlight(w *world) {
	for _, lanes := range []int{1, 4} {
		config := memwatermill.Config{
			ConsumerGroup: "billing",
			Lanes:         lanes,
			LaneKey:       func(*message.Message) string { return "same" },
		}
		topic := fmt.Sprint(topic, lanes)
		one, two := w.subscribe(w.pubSub(config), topic), w.subscribe(w.pubSub(config), topic)
		w.publish(topic, texts("a", "b", "c")...)
		for _, uuid := range []string{"a", "b", "c"} {
			var m *message.Message
			select {
			case m = <-one:
			case m = <-two:
			}
			now()
			select {
			case other := <-one:
				failf("message %q came while %q was in flight", other.UUID, m.UUID)
			case other := <-two:
				failf("message %q came while %q was in flight", other.UUID, m.UUID)
			default:
			}
			if m.UUID != uuid {
				failf("message %q came, and not %q", m.UUID, uuid)
			}
			m.Ack()
		}
	}
}

func travelsUnchanged(w *world) {
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
	elsewhere := w.subscribe(w.pubSub(memwatermill.Config{}), "elsewhere")
	eachKind(func(config memwatermill.Config, topic string) {
		config.LaneKey = func(*message.Message) string { return "same" }
		w.publish(topic, sent...)
		messages := w.subscribe(w.pubSub(config), topic)
		for _, want := range sent {
			got := next(messages, want.UUID)
			if !got.Equals(want) {
				failf("the message with metadata %q and payload %q came with %q and %q", want.Metadata, want.Payload, got.Metadata, got.Payload)
			}
			got.Metadata.Set("may be", "set")
			got.Ack()
		}
	})
	none(elsewhere)
}

func startsWhereItShould(w *world) {
	w.publish(topic, texts("a")...)
	for _, lanes := range []int{1, 4} {
		oldest := w.subscribe(w.pubSub(memwatermill.Config{Lanes: lanes}), topic)
		next(oldest, "a")
	}
	for _, lanes := range []int{1, 4} {
		newest := w.subscribe(w.pubSub(memwatermill.Config{Lanes: lanes, StreamFromLatest: true}), topic)
		none(newest)
		w.publish(topic, texts("b")...)
		next(newest, "b").Ack()
		none(newest)
	}
	for _, lanes := range []int{1, 4} {
		config := memwatermill.Config{ConsumerGroup: fmt.Sprint("billing", lanes), Lanes: lanes, StreamFromLatest: true}
		p := w.pubSub(config)
		must(p.SubscribeInitialize(topic))
		w.publish(topic, texts("c")...)
		next(w.subscribe(p, topic), "c").Ack()
		must(p.Close())
		w.publish(topic, texts("d")...)
		next(w.subscribe(w.pubSub(config), topic), "d").Ack()
	}
}

func nameIsForgotten(w *world) {
	for i, lanes := range []int{1, 4, 1, 4} {
		p := w.pubSub(memwatermill.Config{Lanes: lanes})
		ctx, cancel := context.WithCancel(w.ctx)
		defer cancel()
		messages, err := p.Subscribe(ctx, topic)
		must(err)
		w.publish(topic, texts("a")...)
		next(messages, "a").Ack()
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

// lanesKeepKeysInOrder has two subscribers take 2 ms for each of a thousand
// messages of 100 keys, as a Router does: each in a goroutine of its own.
func lanesKeepKeysInOrder(w *world) {
	const messages, keys, lanes = 1000, 100, 16
	config := memwatermill.Config{
		ConsumerGroup: "billing",
		Lanes:         lanes,
		LaneKey:       func(m *message.Message) string { return m.Metadata.Get("key") },
	}
	for i := range messages {
		m := message.NewMessage(fmt.Sprintf("%04d", i), nil)
		m.Metadata.Set("key", fmt.Sprint("key-", i%keys))
		w.publish(topic, m)
	}
	var mu sync.Mutex
	byKey := make(map[string][]string)
	busiest, busy := 0, 0
	handle := func(m *message.Message) {
		mu.Lock()
		busy++
		busiest = max(busiest, busy)
		mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		busy--
		key := m.Metadata.Get("key")
		byKey[key] = append(byKey[key], m.UUID)
		m.Ack()
	}
	start := time.Now()
	for range 2 {
		in := w.subscribe(w.pubSub(config), topic)
		go func() {
			for m := range in {
				go handle(m)
			}
		}()
	}
	time.Sleep(400 * time.Millisecond)
	now()
	mu.Lock()
	defer mu.Unlock()
	handled := 0
	for key, uuids := range byKey {
		handled += len(uuids)
		if !slices.IsSorted(uuids) {
			failf("the messages of %s were handled in the order %v", key, uuids)
		}
		if len(slices.Compact(uuids)) < len(uuids) {
			failf("a message of %s was handled twice", key)
		}
	}
	if handled < messages {
		failf("%d of %d messages were handled in %v", handled, messages, time.Since(start))
	}
	if busiest > lanes {
		failf("%d messages were handled at once in %d lanes", busiest, lanes)
	}
}

func stuckHoldsItsLane(w *world) {
	const lanes = 8
	for _, group := range []string{"", "billing"} {
		topic := topic + group
		messages := w.subscribe(w.pubSub(memwatermill.Config{ConsumerGroup: group, Lanes: lanes}), topic)
		w.publish(topic, texts("stuck")...)
		next(messages, "stuck")
		for i := range 100 {
			uuid := fmt.Sprint(i)
			w.publish(topic, texts(uuid)...)
			if memwatermill.LaneOf(uuid, lanes) != memwatermill.LaneOf("stuck", lanes) {
				next(messages, uuid).Ack()
			}
		}
		none(messages)
	}
}

// othersTakeOver closes one of two PubSubs of a group, which has dealt and had
// its turns. The other goes on alone.
func othersTakeOver(w *world) {
	for _, lanes := range []int{1, 4} {
		config, topic := memwatermill.Config{ConsumerGroup: "billing", Lanes: lanes}, fmt.Sprint(topic, lanes)
		first := w.pubSub(config)
		w.publish(topic, texts("a")...)
		next(w.subscribe(first, topic), "a").Ack()
		messages := w.subscribe(w.pubSub(config), topic)
		now()
		must(first.Close())
		for i := range 20 {
			uuid := fmt.Sprint(i)
			w.publish(topic, texts(uuid)...)
			next(messages, uuid).Ack()
		}
		none(messages)
	}
}

// lanesChange changes the number of lanes again and again while messages wait in
// them. None may be lost, handled twice, or handled out of its key's order.
func lanesChange(w *world) {
	const messages, keys = 200, 10
	key := func(m *message.Message) string { return m.UUID[len(m.UUID)-1:] }
	for i := range messages {
		w.publish(topic, texts(fmt.Sprintf("%03d", i))...)
	}
	handled := make(map[string][]string)
	take := func(lanes, n int) {
		p := w.pubSub(memwatermill.Config{ConsumerGroup: "billing", Lanes: lanes, LaneKey: key})
		in := w.subscribe(p, topic)
		now()
		for range n {
			select {
			case m := <-in:
				handled[key(m)] = append(handled[key(m)], m.UUID)
				m.Ack()
			case <-time.After(long):
				failf("with %d lanes no message came", lanes)
			}
		}
		must(p.Close())
	}
	rest := messages
	for _, lanes := range []int{1, 8, 3, 3, 1, 1, 16, 2} {
		take(lanes, 10)
		rest -= 10
	}
	take(1, rest)
	total := 0
	for key, uuids := range handled {
		total += len(uuids)
		if !slices.IsSorted(uuids) || len(slices.Compact(slices.Clone(uuids))) < len(uuids) {
			failf("the messages of key %s were handled in the order %v", key, uuids)
		}
	}
	if total != messages || len(handled) != keys {
		failf("%d messages of %d keys were handled", total, len(handled))
	}
	none(w.subscribe(w.pubSub(memwatermill.Config{ConsumerGroup: "billing"}), topic))
}

type contextKey struct{}

func messageContext(w *world) {
	eachKind(func(config memwatermill.Config, topic string) {
		w.publish(topic, texts("a")...)
		messages, err := w.pubSub(config).Subscribe(context.WithValue(w.ctx, contextKey{}, "value"), topic)
		must(err)
		for _, answer := range []func(*message.Message) bool{(*message.Message).Nack, (*message.Message).Ack} {
			m := next(messages, "a")
			if m.Context().Value(contextKey{}) != "value" {
				failf("the message's context has no values of the subscription's")
			}
			now()
			if m.Context().Err() != nil {
				failf("the message's context is done before its Ack")
			}
			answer(m)
			now()
			if !isDone(m.Context()) {
				failf("the message's context is not done")
			}
		}
	})
}

func contextEndsSubscription(w *world) {
	eachKind(func(config memwatermill.Config, topic string) {
		p := w.pubSub(config)
		ctx, cancel := context.WithCancel(w.ctx)
		w.publish(topic, texts("a", "b")...)
		messages, err := p.Subscribe(ctx, topic)
		must(err)
		first := <-messages
		cancel()
		now()
		if !isDone(first.Context()) {
			failf("the message's context is not done")
		}
		time.Sleep(time.Second)
		first.Ack() // in time
		ended(messages)
		if config.ConsumerGroup != "" {
			other := "b"
			if first.UUID == "b" {
				other = "a"
			}
			again := w.subscribe(p, topic)
			next(again, other).Ack()
			none(again)
		}
	})
}

func closeWaits(w *world) {
	eachKind(func(config memwatermill.Config, topic string) {
		p := w.pubSub(config)
		w.publish(topic, texts("a")...)
		m := next(w.subscribe(p, topic), "a")
		closed := make(chan error, 1)
		go func() { closed <- p.Close() }()
		select {
		case <-closed:
			failf("Close did not wait for the message in flight")
		case <-time.After(time.Second):
		}
		if m.Context().Err() != nil {
			failf("the message's context is done while Close waits for it")
		}
		if _, err := p.Subscribe(w.ctx, topic); !errors.Is(err, memwatermill.ErrClosed) {
			failf("Subscribe returned the error %v during Close", err)
		}
		if err := p.Publish("results", texts("result")...); err != nil {
			failf("Publish during Close: %v", err)
		}
		m.Ack()
		must(<-closed)
		if err := p.Publish("results", texts("late")...); !errors.Is(err, memwatermill.ErrClosed) {
			failf("Publish returned the error %v after Close", err)
		}
		if config.ConsumerGroup != "" {
			none(w.subscribe(w.pubSub(config), topic))
		}
	})
}

func closeGivesUp(w *world) {
	eachKind(func(config memwatermill.Config, topic string) {
		config.CloseTimeout = time.Minute
		p := w.pubSub(config)
		w.publish(topic, texts("a")...)
		messages := w.subscribe(p, topic)
		m := next(messages, "a")
		start := time.Now()
		during("Close", long, func() { must(p.Close()) })
		if waited := time.Since(start); waited != config.CloseTimeout {
			failf("Close waited for %v, not %v", waited, config.CloseTimeout)
		}
		if !isDone(m.Context()) {
			failf("the message's context is not done")
		}
		ended(messages)
	})
}

func closeLeavesNothing(w *world) {
	before := goleak.IgnoreCurrent()
	eachKind(func(config memwatermill.Config, topic string) {
		p := w.pubSub(config)
		w.publish(topic, texts("acked", "nacked")...)
		messages := w.subscribe(p, topic)
		w.subscribe(p, "nothing there")
		for range 2 {
			if m := <-messages; m.UUID == "acked" {
				m.Ack()
			} else {
				m.Nack()
			}
			now()
		}
		must(p.Close())
		must(p.Close())
		ended(messages)
		if err := goleak.Find(before); err != nil {
			failf("after Close: %v", err)
		}
	})
}

func streamerFails(w *world) {
	eachKind(func(config memwatermill.Config, topic string) {
		config.LaneKey = func(*message.Message) string { return "same" }
		w.beneath = flaky(w.memory)
		p := w.pubSub(config)
		messages := w.subscribe(p, topic)
		w.beneath = nil
		for i := range 20 {
			uuid := fmt.Sprint(i)
			w.publish(topic, texts(uuid)...)
			next(messages, uuid).Ack()
		}
		none(messages)

		w.publish(topic, texts("last")...)
		last := next(messages, "last")
		closed := make(chan error, 1)
		go func() { closed <- p.Close() }()
		now()
		last.Ack() // in time
		must(<-closed)
		if config.ConsumerGroup != "" {
			none(w.subscribe(w.pubSub(config), topic))
		}
	})
}

func streamerCloses(w *world) {
	p := w.pubSub(memwatermill.Config{})
	messages := w.subscribe(p, topic)
	lanes := w.subscribe(w.pubSub(memwatermill.Config{ConsumerGroup: "billing", Lanes: 4}), topic)
	must(w.memory.Close())
	ended(messages)
	ended(lanes)
	must(p.Close())
}
