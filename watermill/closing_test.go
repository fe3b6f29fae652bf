package memwatermill_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

func TestContextEndsSubscription(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		eachKind(func(c config, topic string) {
			p := fx.pubSub(c)
			ctx, cancel := context.WithCancel(fx.ctx)
			fx.publish(topic, "a", "b")
			in, err := fx.try(ctx, p, topic)
			require.NoError(t, err)
			first, _ := in.take()
			cancel()
			require.Error(t, first.Context().Err())
			time.Sleep(time.Second)
			first.Ack() // in time
			in.ended()
			if c.ConsumerGroup != "" {
				fx.subscribe(p, topic).acked(map[string]string{"a": "b", "b": "a"}[first.UUID])
			}
		})
	})
}

func TestCloseWaits(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		eachKind(func(c config, topic string) {
			p := fx.pubSub(c)
			fx.publish(topic, "a")
			m := fx.subscribe(p, topic).next("a")
			closed := start(p.Close)
			time.Sleep(time.Second)
			require.Empty(t, closed, "Close did not wait for the message in flight")
			require.NoError(t, m.Context().Err())
			_, err := p.Subscribe(fx.ctx, topic)
			require.ErrorIs(t, err, memwatermill.ErrClosed)
			require.NoError(t, p.Publish("results", m.Copy()))
			m.Ack()
			require.NoError(t, <-closed)
			require.ErrorIs(t, p.Publish("results", m.Copy()), memwatermill.ErrClosed)
			require.NoError(t, p.Close(), "again")
			if c.ConsumerGroup != "" {
				fx.subscribe(fx.pubSub(c), topic).none()
			}
		})
	})
}

func TestCloseGivesUp(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		eachKind(func(c config, topic string) {
			c.CloseTimeout = time.Minute
			p := fx.pubSub(c)
			fx.publish(topic, "a")
			in := fx.subscribe(p, topic)
			m := in.next("a")
			started := time.Now()
			require.NoError(t, p.Close())
			require.Equal(t, c.CloseTimeout, time.Since(started))
			require.Error(t, m.Context().Err())
			in.ended()
		})
	})
}

// TestCloseWaitsForNoPublish has a streamer that does not answer a Send.
func TestCloseWaitsForNoPublish(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		answer := make(chan struct{})
		fx.beneath = &faulty{StreamConstructor: fx.memory, send: func(_ context.Context, pass func() error) error {
			<-answer
			return pass()
		}}
		p := fx.pubSub(config{})
		published := start(func() error { return p.Publish(topic, message.NewMessage("a", nil)) })
		synctest.Wait()
		closed := start(p.Close)
		synctest.Wait()
		require.Len(t, closed, 1, "Close has not returned")
		close(answer)
		require.NoError(t, <-published)
	})
}

// TestCloseEndsSubscribe has a streamer that does not answer a NewReceiver.
func TestCloseEndsSubscribe(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		fx.beneath = &faulty{StreamConstructor: fx.memory, newReceiver: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		p := fx.pubSub(billing)
		subscribed := start(func() error {
			_, err := p.Subscribe(fx.ctx, topic)
			return err
		})
		initialized := start(func() error { return p.SubscribeInitialize(topic) })
		synctest.Wait()
		require.NoError(t, p.Close())
		require.Equal(t, memwatermill.ErrClosed, <-subscribed)
		require.Equal(t, memwatermill.ErrClosed, <-initialized)
	})
}

// TestCloseWaitsForDealing has a Send to a lane last while Close is called. It may have
// taken effect when it is cancelled, and the message would be dealt twice.
func TestCloseWaitsForDealing(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		c := config{ConsumerGroup: "billing", Lanes: 4}
		fx.beneath = &faulty{StreamConstructor: fx.memory, send: func(ctx context.Context, pass func() error) error {
			err := pass()
			select {
			case <-time.After(time.Second):
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		p := fx.pubSub(c)
		fx.beneath = nil
		fx.subscribe(p, topic)
		fx.publish(topic, "a")
		synctest.Wait()
		require.NoError(t, p.Close())
		fx.subscribe(fx.pubSub(c), topic).acked("a")
	})
}

// TestCloseEndsDealingThatFails has a streamer whose Sends fail.
func TestCloseEndsDealingThatFails(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		fx.beneath = &faulty{StreamConstructor: fx.memory, send: func(context.Context, func() error) error { return errFlaky }}
		p := fx.pubSub(config{ConsumerGroup: "billing", Lanes: 4})
		fx.subscribe(p, topic)
		fx.publish(topic, "a")
		synctest.Wait()
		started := time.Now()
		require.NoError(t, p.Close())
		require.Zero(t, time.Since(started))
	})
}

// TestStreamerFails has two in three calls of Send, Recv and Ack fail without effect.
func TestStreamerFails(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		eachKind(func(c config, topic string) {
			c.LaneKey = sameKey
			var sends, recvs atomic.Int64
			fails := func(calls *atomic.Int64) error {
				if calls.Add(1)%3 != 0 {
					return errFlaky
				}
				return nil
			}
			fx.beneath = &faulty{
				StreamConstructor: fx.memory,
				send: func(_ context.Context, pass func() error) error {
					if err := fails(&sends); err != nil {
						return err
					}
					return pass()
				},
				recv: func() error { return fails(&recvs) },
				ack: func(_, attempt int64, commit memstreamer.Ack) error {
					if attempt < 3 {
						return errFlaky
					}
					return commit()
				},
			}
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
			synctest.Wait()
			last.Ack() // in time
			require.NoError(t, <-closed)
			if c.ConsumerGroup != "" {
				fx.subscribe(fx.pubSub(c), topic).none()
			}
		})
	})
}

// TestFailingStreamerIsNotPressed has a streamer fail, and no pause after a Nack.
func TestFailingStreamerIsNotPressed(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		var calls atomic.Int64
		fx.beneath = &faulty{StreamConstructor: fx.memory, recv: func() error {
			calls.Add(1)
			return errFlaky
		}}
		fx.subscribe(fx.pubSub(config{NackDelay: -1}), topic)
		time.Sleep(time.Second)
		synctest.Wait()
		require.EqualValues(t, 11, calls.Load())
	})
}

// TestAckFailsForGood has the first delivery's Ack fail however often it is tried, as
// JetStream's does for a consumer that is gone. The message comes again; one that was in
// the lane of another number was dealt twice, and those behind it must be dealt too.
func TestAckFailsForGood(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		firstAckFails := func() *faulty {
			return &faulty{StreamConstructor: fx.memory, ack: func(delivery, _ int64, commit memstreamer.Ack) error {
				if delivery == 1 {
					return errFlaky
				}
				return commit()
			}}
		}
		eachGroup(func(c config, topic string) {
			c.LaneKey = sameKey
			fx.beneath = firstAckFails()
			in := fx.subscribe(fx.pubSub(c), topic)
			fx.publish(topic, "a", "b")
			in.acked("a", "a", "b")
		})
		fx.leaveInLanes(topic, sameKey, "a", "b", "c")
		fx.beneath = firstAckFails()
		fx.subscribe(fx.pubSub(billing), topic).acked("a", "a", "b", "c")
	})
}

func TestStreamerCloses(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		in := fx.subscribe(fx.pubSub(config{}), topic)
		lanes := fx.subscribe(fx.pubSub(config{ConsumerGroup: "billing", Lanes: 4}), topic)
		require.NoError(t, fx.memory.Close())
		in.ended()
		lanes.ended()
	})
}

// TestEndedSubscriptionIsFreed has a PubSub outlive a subscription of its own, of
// whose context nothing may be left: no timer that waits for its CloseTimeout either.
func TestEndedSubscriptionIsFreed(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		p := fx.pubSub(config{CloseTimeout: 2 * forever})
		held := subscribeAndEnd(fx, p)
		time.Sleep(forever) // the runtime holds a timer for a while that was stopped
		runtime.GC()
		require.Nil(t, held.Value())
		require.NoError(t, p.Publish(topic)) // p is alive
	})
}

// subscribeAndEnd returns a pointer to what the subscription's context holds.
func subscribeAndEnd(fx *fixture, p *memwatermill.PubSub) weak.Pointer[[1024]byte] {
	type key struct{}
	held := new([1024]byte)
	ctx, cancel := context.WithCancel(context.WithValue(fx.ctx, key{}, held))
	in, err := fx.try(ctx, p, topic)
	require.NoError(fx, err)
	cancel()
	in.ended()
	return weak.Make(held)
}
