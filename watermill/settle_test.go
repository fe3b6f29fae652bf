package memwatermill_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// leaveInLanes has messages wait in the eight lanes of a group that has ended.
func leaveInLanes(t *testing.T, streamer memstreamer.EventStreamer) {
	p, err := memwatermill.NewPubSub(streamer, memwatermill.Config{ConsumerGroup: "billing", Lanes: 8, CloseTimeout: 1}, nil)
	require.NoError(t, err)
	require.NoError(t, p.Publish(topic, texts("a", "b", "c", "d")...))
	_, err = p.Subscribe(t.Context(), topic)
	require.NoError(t, err)
	synctest.Wait()
	require.NoError(t, p.Close())
}

// TestSettlingHoldsNobody has the first subscriber of a group unable to empty the
// lanes of another number, while a second waits for that.
func TestSettlingHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstreamer.New()
		leaveInLanes(t, memory)
		broken := &brokenSends{memory}
		errs := make([]chan error, 2)
		cancels := make([]context.CancelFunc, 2)
		for i := range errs {
			p, err := memwatermill.NewPubSub(broken, memwatermill.Config{ConsumerGroup: "billing"}, nil)
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			errs[i], cancels[i] = make(chan error, 1), cancel
			go func() {
				_, err := p.Subscribe(ctx, topic)
				errs[i] <- err
			}()
			synctest.Wait()
		}
		for i := range errs {
			other := len(errs) - 1 - i // the second first
			cancels[other]()
			synctest.Wait()
			select {
			case err := <-errs[other]:
				require.ErrorIs(t, err, context.Canceled)
			default:
				cancels[1-other]() // or the bubble cannot end
				require.FailNow(t, "Subscribe waits on after the end of its context")
			}
		}
	})
}

// brokenSends fails every Send, and has Stats.
type brokenSends struct{ *memstreamer.StreamConstructor }

func (b *brokenSends) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	return flaky(&wrapped{EventStreamer: b.StreamConstructor, send: func(func() error) error { return errFlaky }}).NewSender(ctx, topic)
}

// TestLanesExpireWhileSettling has what waits in the lanes of another number
// expire after it was counted, and before it is received.
func TestLanesExpireWhileSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstreamer.New(memstreamer.WithRetention(time.Hour))
		leaveInLanes(t, memory)
		p, err := memwatermill.NewPubSub(&lateStats{memory}, memwatermill.Config{ConsumerGroup: "billing"}, nil)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), long)
		defer cancel()
		messages, err := p.Subscribe(ctx, topic)
		require.NoError(t, err)
		require.NoError(t, p.Publish(topic, texts("new")...))
		m := <-messages
		require.Equal(t, "new", m.UUID)
		m.Ack()
		require.NoError(t, p.Close())
	})
}

// lateStats returns Stats that are two hours old.
type lateStats struct{ *memstreamer.StreamConstructor }

func (l *lateStats) Stats() memstreamer.Stats {
	defer time.Sleep(2 * time.Hour)
	return l.StreamConstructor.Stats()
}

// TestGroupSettlesOnce has the second subscriber of a group come when the lanes of
// another number, which the first found full, are empty. It must go on where the
// first has ended: in a lane.
func TestGroupSettlesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstreamer.New()
		leaveInLanes(t, memory)
		subscribe := func() (*memwatermill.PubSub, <-chan *message.Message) {
			p, err := memwatermill.NewPubSub(memory, memwatermill.Config{ConsumerGroup: "billing", CloseTimeout: 1}, nil)
			require.NoError(t, err)
			messages, err := p.Subscribe(t.Context(), topic)
			require.NoError(t, err)
			return p, messages
		}
		first, messages := subscribe()
		for range 4 {
			(<-messages).Ack()
		}
		synctest.Wait()
		second, messages := subscribe()
		require.NoError(t, second.Publish(topic, texts("e")...))
		synctest.Wait()
		require.NoError(t, first.Close())
		synctest.Wait()
		select {
		case m := <-messages:
			require.Equal(t, "e", m.UUID)
			m.Ack()
		default:
			t.Error("no message came")
		}
		require.NoError(t, second.Close())
	})
}

// TestNothingStaysOpen has a streamer forget all of its topics, which it does once
// they are empty and no sender or receiver is open.
func TestNothingStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstreamer.New(memstreamer.WithRetention(time.Hour))
		eachKind(func(config memwatermill.Config, topic string) {
			p, err := memwatermill.NewPubSub(memory, config, nil)
			require.NoError(t, err)
			require.NoError(t, p.SubscribeInitialize(topic))
			require.NoError(t, p.Publish(topic, texts("a")...))
			messages, err := p.Subscribe(t.Context(), topic)
			require.NoError(t, err)
			(<-messages).Ack()
			require.NoError(t, p.Close())
		})
		time.Sleep(2 * time.Hour)
		require.Empty(t, memory.Stats().Topics)
	})
}
