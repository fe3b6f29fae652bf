package memwatermill_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/hooked"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// TestCloseWaitsForNoPublish has a streamer that does not answer a Send.
func TestCloseWaitsForNoPublish(t *testing.T) {
	sending, answer := make(chan struct{}), make(chan struct{})
	streamer := hooked.Wrap(memstreamer.New(), hooked.Hooks{
		Send: func(ctx context.Context, s *hooked.Sender, e hooked.Outgoing) error {
			close(sending)
			<-answer
			return s.Pass(ctx, e)
		},
	})
	p, err := memwatermill.NewPubSub(streamer, config{}, nil)
	require.NoError(t, err)
	published := start(func() error { return p.Publish(topic, message.NewMessage("a", nil)) })
	<-sending
	select {
	case err := <-start(p.Close):
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Error("Close has not returned")
	}
	close(answer)
	require.NoError(t, <-published)
}

// TestCloseEndsSubscribe has a streamer that does not answer a NewReceiver.
func TestCloseEndsSubscribe(t *testing.T) {
	inWorld(t, func(w *world) {
		w.beneath = hooked.Wrap(w.memory, hooked.Hooks{
			NewReceiver: func(ctx context.Context, _ *hooked.Streamer, _, _ string, _ []memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		p := w.pubSub(config{ConsumerGroup: "billing"})
		subscribed := start(func() error {
			_, err := p.Subscribe(w.ctx, topic)
			return err
		})
		initialized := start(func() error { return p.SubscribeInitialize(topic) })
		now()
		must(p.Close())
		for _, err := range []error{<-subscribed, <-initialized} {
			if err != memwatermill.ErrClosed {
				failf("the error is %v", err)
			}
		}
	})
}

// TestFailingStreamerIsNotPressed has a streamer fail, and no pause after a Nack.
func TestFailingStreamerIsNotPressed(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := 0
		w.beneath = hooked.Wrap(w.memory, hooked.Hooks{
			Recv: func(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
				if calls++; calls > 100 {
					return r.EventReceiver.Recv(ctx) // which waits
				}
				return nil, nil, errFlaky
			},
		})
		w.subscribe(w.pubSub(config{NackDelay: -1}), topic)
		time.Sleep(time.Second)
		now()
		if calls != 11 {
			failf("a streamer that fails was asked %d times in a second", calls)
		}
	})
}

// TestAckFailsForGood has the first message's Ack fail however often it is tried, as
// JetStream's does for a consumer that is gone. The message comes again.
func TestAckFailsForGood(t *testing.T) {
	inWorld(t, func(w *world) {
		eachGroup(func(c config, topic string) {
			c.LaneKey = sameKey
			w.beneath = firstAckFails(w.memory)
			in := w.subscribe(w.pubSub(c), topic)
			w.beneath = nil
			w.publish(topic, "a", "b")
			for _, uuid := range []string{"a", "a", "b"} {
				in.next(uuid).Ack()
			}
			in.none()
		})
	})
}

// TestAckFailsForGoodWhileDraining has it fail for a message in a lane of another
// number, which is dealt twice then. Those behind it must be dealt too.
func TestAckFailsForGoodWhileDraining(t *testing.T) {
	inWorld(t, func(w *world) {
		w.leaveInLanes()
		w.beneath = firstAckFails(w.memory)
		in := w.subscribe(w.pubSub(config{ConsumerGroup: "billing"}), topic)
		for _, uuid := range []string{"a", "a", "b", "c", "d"} {
			in.next(uuid).Ack()
		}
		in.none()
	})
}

func firstAckFails(memory *memstreamer.StreamConstructor) memstreamer.EventStreamer {
	var first *hooked.Delivery
	return hooked.Wrap(memory, hooked.Hooks{Ack: func(d *hooked.Delivery) error {
		if first == nil {
			first = d
		}
		if d == first {
			return errFlaky
		}
		return d.Commit()
	}})
}

// TestEndedSubscriptionIsFreed has a PubSub outlive a subscription of its own, of
// whose context nothing may be left.
func TestEndedSubscriptionIsFreed(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.pubSub(config{})
		held := subscribeAndEnd(w, p)
		time.Sleep(forever) // the runtime holds a timer for a while that was stopped
		runtime.GC()
		if held.Value() != nil {
			failf("the context of a subscription that has ended is held")
		}
		must(p.Publish(topic)) // p is alive
	})
}

// subscribeAndEnd returns a pointer to what the subscription's context holds.
func subscribeAndEnd(w *world, p pubSub) weak.Pointer[[1024]byte] {
	type key struct{}
	held := new([1024]byte)
	ctx, cancel := context.WithCancel(context.WithValue(w.ctx, key{}, held))
	messages, err := p.Subscribe(ctx, topic)
	must(err)
	cancel()
	inbox(messages).ended()
	return weak.Make(held)
}

// TestEngineEvents has events that came from no Publish, one of which names its
// topic: in a lane, it must not be sent there again.
func TestEngineEvents(t *testing.T) {
	inWorld(t, func(w *world) {
		eachGroup(func(c config, topic string) {
			sender, err := w.memory.NewSender(w.ctx, topic)
			must(err)
			must(sender.Send(w.ctx, "order-1", 3, map[memstreamer.Header]string{memstreamer.HeaderTopic: topic, "_topic": "other"}))
			must(sender.Send(w.ctx, "", -9, nil))
			c.LaneKey = sameKey
			in := w.subscribe(w.pubSub(c), topic)
			for _, want := range []*message.Message{
				{UUID: "order-1", Metadata: message.Metadata{"topic": topic, "_topic": "other"}},
				{},
			} {
				m := in.next(want.UUID)
				if !m.Equals(want) {
					failf("the message came with metadata %q and payload %q", m.Metadata, m.Payload)
				}
				m.Ack()
			}
		})
	})
}

// TestStatsNameGroups reads what the metrics and the page show.
func TestStatsNameGroups(t *testing.T) {
	inWorld(t, func(w *world) {
		w.subscribe(w.pubSub(config{ConsumerGroup: "billing"}), topic)
		w.subscribe(w.pubSub(config{ConsumerGroup: "shipping", Lanes: 2}), topic)
		var names []string
		for _, r := range w.memory.Stats().Receivers {
			names = append(names, fmt.Sprintf("%d of %s on %s", r.Open, r.Name, r.Topic))
		}
		if !slices.Equal(names, []string{
			"1 of billing on orders",
			"1 of shipping on orders",
			"1 of shipping on orders#shipping#1/2",
			"1 of shipping on orders#shipping#2/2",
		}) {
			failf("the receivers are %q", names)
		}
	})
}

func TestLogger(t *testing.T) {
	logger := watermill.NewCaptureLogger()
	p, err := memwatermill.NewPubSub(memstreamer.New(), config{ConsumerGroup: "billing", CloseTimeout: 1, NackDelay: -1}, logger)
	require.NoError(t, err)
	require.NoError(t, p.Publish(topic, message.NewMessage("a", nil)))
	messages, err := p.Subscribe(t.Context(), topic)
	require.NoError(t, err)
	(<-messages).Nack()
	<-messages
	require.NoError(t, p.Close())
	fields := watermill.LogFields{"consumer_group": "billing", "topic": topic}
	for _, want := range []watermill.CapturedMessage{
		{Level: watermill.DebugLogLevel, Msg: "Subscribed"},
		{Level: watermill.DebugLogLevel, Msg: "Message nacked", Fields: watermill.LogFields{"message_uuid": "a", "failures": 1, "delay": time.Duration(0)}},
		{Level: watermill.InfoLogLevel, Msg: "Message neither acked nor nacked within CloseTimeout: it will be delivered again", Fields: watermill.LogFields{"message_uuid": "a"}},
		{Level: watermill.DebugLogLevel, Msg: "Subscription ended"},
	} {
		want.Fields = fields.Add(want.Fields)
		require.True(t, logger.Has(want), "%v is not in %v", want, logger.Captured())
	}
}
