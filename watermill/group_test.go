package memwatermill_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/judge"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// handleAll has two subscribers of a group take 2 ms for each of a thousand messages of
// 100 keys, as a Router does: each in a goroutine of its own. Half of them were
// published before. It fails for one out of the order of its key, and for more
// handled at once than lanes.
func handleAll(t testing.TB, lanes int) {
	const messages, keys = 1000, 100
	streamer := memstreamer.New()
	open := func() *memwatermill.PubSub {
		p, err := memwatermill.NewPubSub(streamer, config{ConsumerGroup: "billing", Lanes: lanes, LaneKey: lastTwo}, nil)
		require.NoError(t, err)
		return p
	}
	subscribers := [2]*memwatermill.PubSub{open(), open()}
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			require.NoError(t, subscribers[0].Publish(topic, message.NewMessage(fmt.Sprintf("%02d-%02d", i/keys, i%keys), nil)))
		}
	}
	ledger := judge.NewLedger(messages)
	publish(0, messages/2)
	for _, p := range subscribers {
		in, err := p.Subscribe(context.Background(), topic)
		require.NoError(t, err)
		go func() {
			for m := range in {
				go ledger.Handle(lastTwo(m), m.UUID, 2*time.Millisecond, m.Ack)
			}
		}()
	}
	publish(messages/2, messages)
	select {
	case <-ledger.All:
	case <-time.After(forever):
	}
	for _, p := range subscribers {
		require.NoError(t, p.Close())
	}
	require.NoError(t, ledger.Check(lanes))
}

// lastTwo is the key of the tests: the end of a message's UUID.
func lastTwo(m *message.Message) string { return m.UUID[max(0, len(m.UUID)-2):] }

func TestGroupHandlesInOrder(t *testing.T) {
	for lanes, most := range map[int]time.Duration{1: 2 * time.Second, 16: 400 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			handleAll(t, lanes)
			require.LessOrEqual(t, time.Since(start), most)
		})
	}
}

// BenchmarkLanes measures handleAll in real time.
func BenchmarkLanes(b *testing.B) {
	for _, lanes := range []int{1, 16} {
		b.Run(fmt.Sprint(lanes), func(b *testing.B) {
			for b.Loop() {
				handleAll(b, lanes)
			}
		})
	}
}

func TestStuckHoldsItsLane(t *testing.T) {
	const lanes = 8
	inBubble(t, func(fx *fixture) {
		for _, group := range []string{"", "billing"} {
			topic := topic + group
			in := fx.subscribe(fx.pubSub(config{ConsumerGroup: group, Lanes: lanes}), topic)
			fx.publish(topic, "stuck")
			in.next("stuck")
			for i := range 100 {
				uuid := fmt.Sprint(i)
				fx.publish(topic, uuid)
				if memwatermill.LaneOf(uuid, lanes) != memwatermill.LaneOf("stuck", lanes) {
					in.next(uuid).Ack()
				}
			}
			in.none()
		}
	})
}

// TestLanesChange changes the number of lanes again and again while messages wait in
// them. None may be lost, handled twice, or handled out of its key's order.
func TestLanesChange(t *testing.T) {
	const messages, keys, each = 200, 10, 10
	inBubble(t, func(fx *fixture) {
		for i := range messages {
			fx.publish(topic, fmt.Sprintf("%02d-%02d", i/keys, i%keys))
		}
		ledger := judge.NewLedger(messages)
		take := func(lanes, n int) {
			p := fx.pubSub(config{ConsumerGroup: "billing", Lanes: lanes, LaneKey: lastTwo})
			in := fx.subscribe(p, topic)
			synctest.Wait()
			for range n {
				m, _ := in.take()
				require.NotNil(t, m, "with %d lanes a message did not come", lanes)
				ledger.Handle(lastTwo(m), m.UUID, 0, m.Ack)
			}
			require.NoError(t, p.Close())
		}
		changes := []int{1, 8, 3, 3, 1, 1, 16, 2}
		for _, lanes := range changes {
			take(lanes, each)
		}
		take(1, messages-each*len(changes))
		require.NoError(t, ledger.Check(1))
		fx.subscribe(fx.pubSub(config{ConsumerGroup: "billing"}), topic).none()
	})
}

var billing = config{ConsumerGroup: "billing"}

// leaveInLanes has messages wait in the eight lanes of a group that has ended.
func (fx *fixture) leaveInLanes(topic string, key func(*message.Message) string, uuids ...string) {
	p, err := memwatermill.NewPubSub(fx.memory, config{ConsumerGroup: "billing", Lanes: 8, LaneKey: key}, nil)
	require.NoError(fx, err)
	fx.publish(topic, uuids...)
	fx.subscribe(p, topic)
	synctest.Wait()
	require.NoError(fx, p.Close())
}

// TestOldLanesAreDrainedInOrder has messages wait in each of several lanes.
func TestOldLanesAreDrainedInOrder(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		byLane := make([][]string, 8)
		for i := range 4 * len(byLane) {
			uuid := fmt.Sprint(i)
			lane := memwatermill.LaneOf(uuid, len(byLane))
			byLane[lane] = append(byLane[lane], uuid)
		}
		inOrder := slices.Concat(byLane...)
		fx.leaveInLanes(topic, nil, inOrder...)
		fx.subscribe(fx.pubSub(billing), topic).acked(inOrder...)
	})
}

// TestDrainsItsOwn has others read the lanes of another number: two ephemeral receivers
// of the group's name, of which one acks nothing and the other all, and another name.
// The group has lanes on another topic, too.
func TestDrainsItsOwn(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		fx.leaveInLanes(topic, sameKey, "a", "b")
		for _, row := range fx.memory.Stats().Receivers {
			for _, acks := range []int64{0, row.Lag} {
				r, err := fx.memory.NewReceiver(fx.ctx, row.Topic, row.Name, memstreamer.Ephemeral())
				require.NoError(t, err)
				for range acks {
					_, ack, err := r.Recv(fx.ctx)
					require.NoError(t, err)
					require.NoError(t, ack())
				}
			}
			_, err := fx.memory.NewReceiver(fx.ctx, row.Topic, "others")
			require.NoError(t, err)
		}
		fx.leaveInLanes("another", sameKey, "x")
		fx.publish(topic, "c")
		fx.subscribe(fx.pubSub(billing), topic).acked("a", "b", "c")
	})
}

// TestDrainsOnce has the second subscriber of a group come when the lanes of another
// number, which the first found full, are empty. It must go on where the first has
// ended: in a lane.
func TestDrainsOnce(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		fx.leaveInLanes(topic, sameKey, "a", "b")
		first := fx.pubSub(billing)
		in := fx.subscribe(first, topic)
		in.acked("a", "b")
		in = fx.subscribe(fx.pubSub(billing), topic)
		fx.publish(topic, "c")
		synctest.Wait()
		require.NoError(t, first.Close())
		in.acked("c")
	})
}

// TestDrainFails has the streamer fail while the first of two subscribers of a group
// drains the lanes of another number, until that gives up. The second has to do it.
func TestDrainFails(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		fx.leaveInLanes(topic, sameKey, "a", "b")
		var works atomic.Bool
		fx.beneath = &faulty{StreamConstructor: fx.memory, send: func(_ context.Context, pass func() error) error {
			if works.Load() {
				return pass()
			}
			return errFlaky
		}}
		first, second := fx.pubSub(billing), fx.pubSub(billing)
		fx.subscribe(first, topic)
		synctest.Wait()
		in := fx.subscribe(second, topic)
		in.none()
		require.NoError(t, first.Close())
		works.Store(true)
		in.acked("a", "b")
	})
}

// TestLanesExpireWhileDraining has Stats return late: before a receiver of an old lane
// is open, so that what waits there expires, or after that, so that it does not.
func TestLanesExpireWhileDraining(t *testing.T) {
	for late, want := range map[int64][]string{2: {"new"}, 3: {"a", "b", "new"}} {
		inBubble(t, func(fx *fixture) {
			fx.memory = memstreamer.New(memstreamer.WithRetention(time.Hour))
			fx.leaveInLanes(topic, sameKey, "a", "b")
			fx.beneath = &slowStats{StreamConstructor: fx.memory, late: late}
			in := fx.subscribe(fx.pubSub(billing), topic)
			time.Sleep(3 * time.Hour)
			fx.publish(topic, "new")
			in.acked(want...)
		})
	}
}

// slowStats is a streamer of which one call of Stats takes two hours to return.
type slowStats struct {
	*memstreamer.StreamConstructor
	calls atomic.Int64
	late  int64
}

func (s *slowStats) Stats() memstreamer.Stats {
	stats := s.StreamConstructor.Stats()
	if s.calls.Add(1) == s.late {
		time.Sleep(2 * time.Hour)
	}
	return stats
}

func TestGroupHasOneNumberOfLanes(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		eight := fx.pubSub(config{ConsumerGroup: "billing", Lanes: 8})
		four := fx.pubSub(config{ConsumerGroup: "billing", Lanes: 4})
		fx.subscribe(eight, topic)
		_, err := four.Subscribe(fx.ctx, topic)
		require.EqualError(t, err, `memwatermill: Subscribe: group "billing" has 8 lanes on topic "orders": another subscriber cannot have 4`)
		fx.subscribe(four, "another")
		require.NoError(t, eight.Close())
		fx.subscribe(four, topic)
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
