package memwatermill_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

func TestNackedComesAgain(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		eachKind(func(c config, topic string) {
			fx.publish(topic, "a")
			in := fx.subscribe(fx.pubSub(c), topic)
			for range 3 {
				m := in.next("a")
				require.Empty(t, m.Metadata, "of the delivery before")
				m.Metadata.Set("seen", "yes")
				m.Nack()
			}
			in.acked("a")
		})
	})
}

func TestNackDelayGrows(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		fx.publish(topic, "a", "b")
		in := fx.subscribe(fx.pubSub(config{NackDelay: time.Second, MaxNackDelay: 5 * time.Second}), topic)
		for _, uuid := range []string{"a", "b"} {
			in.next(uuid).Nack()
			for _, want := range []time.Duration{1, 2, 4, 5, 5} {
				nacked := time.Now()
				m := in.next(uuid)
				require.Equal(t, want*time.Second, time.Since(nacked), uuid)
				m.Nack()
			}
			in.next(uuid).Ack()
		}
		in.none()
	})
}

// TestTravelsUnchanged has messages of any bytes, and events that came from no Publish.
// One of these names its topic: in a lane, it must not be sent there again.
func TestTravelsUnchanged(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	published := []*message.Message{
		message.NewMessage("", nil),
		message.NewMessage("a", nil),
		message.NewMessage("b", every),
		message.NewMessage(string(every), message.Payload("c")),
		{UUID: "no metadata"},
	}
	published[1].Metadata = message.Metadata{"topic": "elsewhere", "_topic": "1", "__topic": "2", "topics": "3", "": "4", "on_topic": "5"}
	published[2].Metadata = message.Metadata{string(every): string(every), "_": "", "topic": ""}
	inBubble(t, func(fx *fixture) {
		elsewhere := fx.subscribe(fx.pubSub(config{}), "elsewhere")
		eachKind(func(c config, topic string) {
			c.LaneKey = sameKey
			p := fx.pubSub(c)
			require.NoError(t, p.Publish(topic, published...))
			sender, err := fx.memory.NewSender(fx.ctx, topic)
			require.NoError(t, err)
			require.NoError(t, sender.Send(fx.ctx, "order-1", 3, map[memstreamer.Header]string{memstreamer.HeaderTopic: topic, "_topic": "other"}))
			require.NoError(t, sender.Send(fx.ctx, "", -9, nil))

			in := fx.subscribe(p, topic)
			for _, want := range append(published[:5:5],
				&message.Message{UUID: "order-1", Metadata: message.Metadata{"topic": topic, "_topic": "other"}},
				&message.Message{},
			) {
				got := in.next(want.UUID)
				require.True(t, got.Equals(want), "%q with %q came with %q and %q", want.UUID, want.Payload, got.Metadata, got.Payload)
				got.Metadata.Set("may be", "set")
				got.Ack()
			}
		})
		elsewhere.none()
	})
}

func TestMessageContext(t *testing.T) {
	type key struct{}
	inBubble(t, func(fx *fixture) {
		eachKind(func(c config, topic string) {
			fx.publish(topic, "a")
			in, err := fx.try(context.WithValue(fx.ctx, key{}, "value"), fx.pubSub(c), topic)
			require.NoError(t, err)
			for _, answer := range []func(*message.Message) bool{(*message.Message).Nack, (*message.Message).Ack} {
				m := in.next("a")
				require.Equal(t, "value", m.Context().Value(key{}))
				synctest.Wait()
				require.NoError(t, m.Context().Err())
				answer(m)
				synctest.Wait()
				require.ErrorIs(t, m.Context().Err(), context.Canceled)
			}
		})
	})
}

func TestStartsWhereItShould(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		fx.publish(topic, "a")
		for _, lanes := range []int{1, 4} {
			fx.subscribe(fx.pubSub(config{Lanes: lanes}), topic).next("a")
		}
		for _, lanes := range []int{1, 4} {
			newest := fx.subscribe(fx.pubSub(config{Lanes: lanes, StreamFromLatest: true}), topic)
			newest.none()
			fx.publish(topic, "b")
			newest.acked("b")
		}
		for _, lanes := range []int{1, 4} {
			c := config{ConsumerGroup: fmt.Sprint("billing", lanes), Lanes: lanes, StreamFromLatest: true}
			p := fx.pubSub(c)
			require.NoError(t, p.SubscribeInitialize(topic))
			fx.publish(topic, "c")
			fx.subscribe(p, topic).next("c").Ack()
			require.NoError(t, p.Close())
			fx.publish(topic, "d")
			fx.subscribe(fx.pubSub(c), topic).next("d").Ack()
		}
	})
}

// TestNameIsForgotten ends subscriptions without a group, by Close and by context.
func TestNameIsForgotten(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		for i, lanes := range []int{1, 4, 1, 4} {
			p := fx.pubSub(config{Lanes: lanes})
			ctx, cancel := context.WithCancel(fx.ctx)
			in, err := fx.try(ctx, p, topic)
			require.NoError(t, err)
			fx.publish(topic, "a")
			in.next("a").Ack()
			receivers := fx.memory.Stats().Receivers
			require.Len(t, receivers, lanes)
			for _, r := range receivers {
				require.True(t, strings.HasPrefix(r.Name, "subscription-"), r.Name)
			}
			if i < 2 {
				require.NoError(t, p.Close())
			}
			cancel()
			synctest.Wait()
			require.Empty(t, fx.memory.Stats().Receivers)
		}
	})
}

// TestNothingStaysOpen has a streamer forget all of its topics, which it does once they
// are empty and no sender or receiver is open.
func TestNothingStaysOpen(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		fx.memory = memstreamer.New(memstreamer.WithRetention(time.Hour))
		eachKind(func(c config, topic string) {
			p := fx.pubSub(c)
			require.NoError(t, p.SubscribeInitialize(topic))
			fx.publish(topic, "a")
			fx.subscribe(p, topic).next("a").Ack()
			require.NoError(t, p.Close())
		})
		time.Sleep(2 * time.Hour)
		require.Empty(t, fx.memory.Stats().Topics)
	})
}

func TestStatsNameGroups(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		fx.subscribe(fx.pubSub(config{ConsumerGroup: "billing"}), topic)
		fx.subscribe(fx.pubSub(config{ConsumerGroup: "shipping", Lanes: 2}), topic)
		var names []string
		for _, r := range fx.memory.Stats().Receivers {
			names = append(names, fmt.Sprintf("%d of %s on %s", r.Open, r.Name, r.Topic))
		}
		require.Equal(t, []string{
			"1 of billing on orders",
			"1 of shipping on orders",
			"1 of shipping on orders#shipping#1/2",
			"1 of shipping on orders#shipping#2/2",
		}, names)
	})
}
