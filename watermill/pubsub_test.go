package memwatermill_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
	"github.com/memstreamer/memstreamer/watermill/internal/hooked"
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
	withFixture(t, func(fx *fixture) {
		fx.beneath = hooked.Wrap(fx.memory, hooked.Hooks{
			NewReceiver: func(ctx context.Context, _ *hooked.Streamer, _, _ string, _ []memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		p := fx.pubSub(config{ConsumerGroup: "billing"})
		subscribed := start(func() error {
			_, err := p.Subscribe(fx.ctx, topic)
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
	withFixture(t, func(fx *fixture) {
		calls := 0
		fx.beneath = hooked.Wrap(fx.memory, hooked.Hooks{
			Recv: func(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
				if calls++; calls > 100 {
					return r.EventReceiver.Recv(ctx) // which waits
				}
				return nil, nil, errFlaky
			},
		})
		fx.subscribe(fx.pubSub(config{NackDelay: -1}), topic)
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
	withFixture(t, func(fx *fixture) {
		eachGroup(func(c config, topic string) {
			c.LaneKey = sameKey
			fx.beneath = firstAckFails(fx.memory)
			in := fx.subscribe(fx.pubSub(c), topic)
			fx.beneath = nil
			fx.publish(topic, "a", "b")
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
	withFixture(t, func(fx *fixture) {
		fx.leaveInLanes()
		fx.beneath = firstAckFails(fx.memory)
		in := fx.subscribe(fx.pubSub(config{ConsumerGroup: "billing"}), topic)
		for _, uuid := range []string{"a", "a", "b", "c", "d"} {
			in.next(uuid).Ack()
		}
		in.none()
	})
}

// TestDrainFails has the first subscriber of a group give up, since the streamer fails,
// before what waits in the lanes of another number was moved. A second, which waits
// for the first, has to move it.
func TestDrainFails(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		fx.leaveInLanes()
		fails, giveUp := fx.failToDrain()
		p := fx.pubSub(config{ConsumerGroup: "billing"})
		var in deliveries
		subscribed := start(func() (err error) {
			in, err = p.Subscribe(fx.ctx, topic)
			return err
		})
		now()
		giveUp()
		fails.Store(false)
		must(<-subscribed)
		for _, uuid := range []string{"a", "b", "c", "d"} {
			in.next(uuid).Ack()
		}
		in.none()
	})
}

// TestFailedDrainLeavesTheGroup has nobody else wait: the group may have another number
// of lanes then.
func TestFailedDrainLeavesTheGroup(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		fx.leaveInLanes()
		fails, giveUp := fx.failToDrain()
		giveUp()
		fails.Store(false)
		in := fx.subscribe(fx.pubSub(config{ConsumerGroup: "billing", Lanes: 4, LaneKey: sameKey}), topic)
		for _, uuid := range []string{"a", "b", "c", "d"} {
			in.next(uuid).Ack()
		}
		in.none()
	})
}

// failToDrain has a subscriber of the group drain its lanes on a streamer whose Sends
// fail, until giveUp ends it.
func (fx *fixture) failToDrain() (fails *atomic.Bool, giveUp func()) {
	fails = new(atomic.Bool)
	fails.Store(true)
	fx.beneath = hooked.Wrap(fx.memory, hooked.Hooks{
		Send: func(ctx context.Context, s *hooked.Sender, e hooked.Outgoing) error {
			if fails.Load() {
				return errFlaky
			}
			return s.Pass(ctx, e)
		},
	})
	p := fx.pubSub(config{ConsumerGroup: "billing"})
	ctx, cancel := context.WithCancel(fx.ctx)
	subscribed := start(func() error {
		_, err := p.Subscribe(ctx, topic)
		return err
	})
	now()
	return fails, func() {
		cancel()
		refused(<-subscribed, "context canceled")
	}
}

// TestOldLanesAreDrainedInOrder has a message wait in each of several lanes.
func TestOldLanesAreDrainedInOrder(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		const lanes = 8
		byLane := make([][]string, lanes)
		for i := range 4 * lanes {
			uuid := fmt.Sprint(i)
			lane := memwatermill.LaneOf(uuid, lanes)
			byLane[lane] = append(byLane[lane], uuid)
			fx.publish(topic, uuid)
		}
		p := fx.pubSub(config{ConsumerGroup: "billing", Lanes: lanes})
		fx.subscribe(p, topic)
		now()
		must(p.Close())
		in := fx.subscribe(fx.pubSub(config{ConsumerGroup: "billing"}), topic)
		for _, uuid := range slices.Concat(byLane...) {
			in.next(uuid).Ack()
		}
		in.none()
	})
}

// TestCloseWaitsForDealing has a Send to a lane last while Close is called. It may have
// taken effect when it is cancelled, and the message would be dealt twice.
func TestCloseWaitsForDealing(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		c := config{ConsumerGroup: "billing", Lanes: 4}
		sending, answer := make(chan struct{}), make(chan struct{})
		fx.beneath = hooked.Wrap(fx.memory, hooked.Hooks{
			Send: func(ctx context.Context, s *hooked.Sender, e hooked.Outgoing) error {
				close(sending)
				must(s.Pass(ctx, e))
				select {
				case <-answer:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			},
		})
		p := fx.pubSub(c)
		fx.beneath = nil
		fx.subscribe(p, topic)
		fx.publish(topic, "a")
		<-sending
		closed := start(p.Close)
		now()
		close(answer)
		must(<-closed)
		in := fx.subscribe(fx.pubSub(c), topic)
		in.next("a").Ack()
		in.none()
	})
}

// TestCloseEndsDealingThatFails has a streamer whose Sends fail.
func TestCloseEndsDealingThatFails(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		fx.beneath = hooked.Wrap(fx.memory, hooked.Hooks{
			Send: func(context.Context, *hooked.Sender, hooked.Outgoing) error { return errFlaky },
		})
		p := fx.pubSub(config{ConsumerGroup: "billing", Lanes: 4})
		fx.beneath = nil
		fx.subscribe(p, topic)
		fx.publish(topic, "a")
		now()
		started := time.Now()
		must(p.Close())
		if waited := time.Since(started); waited > 0 {
			failf("Close waited for %v", waited)
		}
	})
}

// TestLanesOfKeys has the lanes of keys as every release has to compute them. If one
// did otherwise, messages would overtake those of their key that wait in a lane.
func TestLanesOfKeys(t *testing.T) {
	for key, want := range map[string][4]int{ // FNV-1a of 32 bits, modulo the lanes
		"":                                     {0, 1, 5, 261},
		"a":                                    {0, 1, 12, 220},
		"foobar":                               {0, 1, 8, 720},
		"customer-17":                          {0, 2, 0, 920},
		"4f1c2a1e-8a0b-4d2f-9b53-1d2f3a4b5c6d": {0, 0, 15, 31},
		"世界":                                   {0, 1, 15, 455},
		"\xff\x00":                             {0, 2, 10, 234},
	} {
		var got [4]int
		for i, lanes := range []int{1, 3, 16, 1000} {
			got[i] = memwatermill.LaneOf(key, lanes)
		}
		require.Equal(t, want, got, "%q", key)
	}
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
// whose context nothing may be left: no timer that waits for its CloseTimeout either.
func TestEndedSubscriptionIsFreed(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		p := fx.pubSub(config{CloseTimeout: 2 * forever})
		held := subscribeAndEnd(fx, p)
		time.Sleep(forever) // the runtime holds a timer for a while that was stopped
		runtime.GC()
		if held.Value() != nil {
			failf("the context of a subscription that has ended is held")
		}
		must(p.Publish(topic)) // p is alive
	})
}

// subscribeAndEnd returns a pointer to what the subscription's context holds.
func subscribeAndEnd(fx *fixture, p pubSub) weak.Pointer[[1024]byte] {
	type key struct{}
	held := new([1024]byte)
	ctx, cancel := context.WithCancel(context.WithValue(fx.ctx, key{}, held))
	messages, err := p.Subscribe(ctx, topic)
	must(err)
	cancel()
	deliveries(messages).ended()
	return weak.Make(held)
}

// TestEngineEvents has events that came from no Publish, one of which names its
// topic: in a lane, it must not be sent there again.
func TestEngineEvents(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		eachGroup(func(c config, topic string) {
			sender, err := fx.memory.NewSender(fx.ctx, topic)
			must(err)
			must(sender.Send(fx.ctx, "order-1", 3, map[memstreamer.Header]string{memstreamer.HeaderTopic: topic, "_topic": "other"}))
			must(sender.Send(fx.ctx, "", -9, nil))
			c.LaneKey = sameKey
			in := fx.subscribe(fx.pubSub(c), topic)
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
	withFixture(t, func(fx *fixture) {
		fx.subscribe(fx.pubSub(config{ConsumerGroup: "billing"}), topic)
		fx.subscribe(fx.pubSub(config{ConsumerGroup: "shipping", Lanes: 2}), topic)
		var names []string
		for _, r := range fx.memory.Stats().Receivers {
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
