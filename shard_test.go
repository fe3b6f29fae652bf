package memstreamer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// sendMany sends events whose foreign IDs are their IDs, if they are the streamer's
// only ones.
func sendMany(t testing.TB, s memstreamer.EventStreamer, topic string, n int) {
	sender := newSender(t, s, topic)
	for i := range n {
		send(t, sender, fmt.Sprint(i+1))
	}
	require.NoError(t, sender.Close())
}

// shardStats returns the receivers of Stats by name.
func shardStats(s *memstreamer.StreamConstructor) map[string]memstreamer.ReceiverStats {
	rows := map[string]memstreamer.ReceiverStats{}
	for _, r := range s.Stats().Receivers {
		rows[r.Name] = r
	}
	return rows
}

// Shards that are there before the events, between them, and after them get the same
// events, also if the topic has no others: those of another topic are between them.
func TestShard(t *testing.T) {
	s := memstreamer.New()
	var shards []memstreamer.EventReceiver
	open := func(when string) {
		for i := range 3 {
			shards = append(shards, newReceiver(t, s, "orders", fmt.Sprint(when, i), memstreamer.Shard(i, 3)))
		}
		require.NoError(t, s.CheckInvariants())
	}
	open("before")
	const n = 3 * memstreamer.SegmentSize
	sendMany(t, s, "orders", n)
	open("between")
	sendMany(t, s, "parcels", 1)
	sendMany(t, s, "orders", 3)
	open("after")
	latest := newReceiver(t, s, "orders", "latest", memstreamer.Shard(1, 3), memstreamer.StreamFromLatest())
	for i, r := range shards {
		for id := int64(1); id <= n+4; id++ {
			if id == n+1 || id%3 != int64(i%3) {
				continue
			}
			e, ack, err := r.Recv(t.Context())
			require.NoError(t, err)
			require.Equal(t, id, e.ID)
			require.NoError(t, ack())
			require.NoError(t, ack())
		}
		requireNothing(t, r)
	}
	requireNothing(t, latest)
	require.NoError(t, s.CheckInvariants())
}

// Lag, OldestUnacked, Acked and AckedID are of a shard's own events.
func TestShardStats(t *testing.T) {
	s := memstreamer.New()
	newReceiver(t, s, "orders", "all")
	r := newReceiver(t, s, "orders", "second of four", memstreamer.Shard(1, 4))
	newReceiver(t, s, "orders", "fourth of four", memstreamer.Shard(3, 4))
	newReceiver(t, s, "orders", "ephemeral", memstreamer.Shard(0, 2), memstreamer.Ephemeral())
	sendMany(t, s, "orders", 10) // 1, 5, 9; 3, 7; and five even ones
	lags := func() (lags []int64) {
		for _, name := range []string{"all", "second of four", "fourth of four", "ephemeral"} {
			lags = append(lags, shardStats(s)[name].Lag)
		}
		return lags
	}
	require.Equal(t, []int64{10, 3, 2, 5}, lags())
	for _, id := range []int64{1, 5} {
		e, ack, err := r.Recv(t.Context())
		require.NoError(t, err)
		require.Equal(t, e.CreatedAt, shardStats(s)["second of four"].OldestUnacked)
		require.NoError(t, ack())
		require.Equal(t, id, shardStats(s)["second of four"].AckedID)
	}
	require.Equal(t, []int64{10, 1, 2, 5}, lags())
	require.EqualValues(t, 2, shardStats(s)["second of four"].Acked)
	require.EqualValues(t, 9, recv(t, r).ID)
	require.Equal(t, []int64{10, 0, 2, 5}, lags())
	require.Zero(t, shardStats(s)["second of four"].OldestUnacked)
	require.NoError(t, s.CheckInvariants())
}

// A Send wakes one of 64 shards that are parked, and the receivers without a shard.
func TestSendWakesOneShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards = 64
		s := memstreamer.New()
		ctx, cancel := context.WithCancel(t.Context())
		var parked sync.WaitGroup
		received := make(chan int64, 1)
		park := func(r memstreamer.EventReceiver) {
			parked.Go(func() {
				for {
					e, ack, err := r.Recv(ctx)
					if err != nil {
						assert.ErrorIs(t, err, context.Canceled)
						return
					}
					received <- e.ID
					assert.NoError(t, ack())
				}
			})
		}
		var receivers []memstreamer.EventReceiver
		for i := range shards {
			receivers = append(receivers, newReceiver(t, s, "orders", fmt.Sprint(i), memstreamer.Shard(i, shards)))
		}
		woken := s.CountWakeUps("orders")
		for _, r := range receivers {
			park(r)
		}
		synctest.Wait()
		require.Zero(t, woken())
		sender := newSender(t, s, "orders")
		for id := int64(1); id <= 2*shards; id++ {
			send(t, sender, "order")
			require.Equal(t, id, <-received)
			synctest.Wait()
			require.Equal(t, id, woken())
		}
		park(newReceiver(t, s, "orders", "all", memstreamer.StreamFromLatest()))
		synctest.Wait()
		send(t, sender, "order")
		<-received
		<-received
		synctest.Wait()
		require.EqualValues(t, 2*shards+2, woken())
		cancel()
		parked.Wait()
	})
}

func TestParkedShardWakesOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstreamer.New()
		got := make(chan error)
		var receivers []memstreamer.EventReceiver
		for i := range 3 {
			r := newReceiver(t, s, "orders", fmt.Sprint(i), memstreamer.Shard(i, 3))
			receivers = append(receivers, r)
			go func() {
				_, _, err := r.Recv(t.Context())
				got <- err
			}()
		}
		synctest.Wait()
		require.NoError(t, receivers[1].Close())
		require.ErrorContains(t, <-got, `the receiver of topic "orders" and name "1"`)
		require.NoError(t, s.Close())
		require.ErrorContains(t, <-got, "the streamer")
		require.ErrorContains(t, <-got, "the streamer")
	})
}

// What no shard has yet to ack is dropped, however long shards are parked, closed or
// never asked.
func TestShardHoldsItsOwnAlone(t *testing.T) {
	s, clock := newRetaining()
	asked := newReceiver(t, s, "orders", "asked", memstreamer.Shard(0, 4))
	newReceiver(t, s, "orders", "never asked", memstreamer.Shard(1, 4))
	require.NoError(t, newReceiver(t, s, "orders", "closed", memstreamer.Shard(2, 4)).Close())
	requireNothing(t, asked)
	kept := func() (kept []int64) {
		require.NoError(t, s.CheckInvariants())
		stats, _ := topicStats(s, "orders")
		return []int64{int64(stats.Retained), stats.FirstID, stats.LastID}
	}
	sender := newSender(t, s, "orders")
	send(t, newSender(t, s, "parcels"), "1")
	send(t, newSender(t, s, "parcels"), "2")
	send(t, sender, "3")
	clock.Step(time.Hour + 1)
	require.Equal(t, []int64{0, 0, 0}, kept())
	send(t, sender, "4")
	for range 3 {
		send(t, newSender(t, s, "parcels"), "another")
	}
	send(t, sender, "8")
	clock.Step(time.Hour + 1)
	require.Equal(t, []int64{2, 4, 8}, kept(), "the shard of them has not acked them")
	e, ack, err := asked.Recv(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 4, e.ID)
	require.NoError(t, ack())
	require.Equal(t, []int64{1, 8, 8}, kept())
	require.NoError(t, asked.Close())
	clock.Step(time.Hour + 1)
	require.Equal(t, []int64{0, 0, 0}, kept(), "the consumer is forgotten")

	again := newReceiver(t, s, "orders", "asked", memstreamer.Shard(1, 2))
	send(t, sender, "9")
	require.EqualValues(t, 9, recv(t, again).ID)
	require.NoError(t, s.CheckInvariants())
}

func TestShardOfAConsumerStays(t *testing.T) {
	s, clock := newRetaining()
	sharded := newReceiver(t, s, "orders", "sharded", memstreamer.Shard(1, 4))
	again := newReceiver(t, s, "orders", "sharded", memstreamer.Shard(1, 4))
	newReceiver(t, s, "orders", "sharded", memstreamer.Ephemeral())
	newReceiver(t, s, "orders", "sharded", memstreamer.Shard(2, 4), memstreamer.Ephemeral())
	whole := newReceiver(t, s, "orders", "whole")
	require.NoError(t, newReceiver(t, s, "orders", "whole", memstreamer.Shard(0, 1)).Close())
	refused := func(name, want string, opts ...memstreamer.ReceiverOption) {
		t.Helper()
		r, err := s.NewReceiver(t.Context(), "orders", name, opts...)
		require.Nil(t, r)
		require.ErrorIs(t, err, memstreamer.ErrShard)
		require.EqualError(t, err, fmt.Sprintf("memstreamer: another shard: the consumer of topic %q and name %q was made with %s: forget it first, or choose another name", "orders", name, want))
		require.NoError(t, s.CheckInvariants())
	}
	for range 2 {
		refused("sharded", "Shard(1, 4), and the receiver is opened with Shard(2, 4)", memstreamer.Shard(2, 4))
		refused("sharded", "Shard(1, 4), and the receiver is opened with Shard(1, 5)", memstreamer.Shard(1, 5))
		refused("sharded", "Shard(1, 4), and the receiver is opened with no Shard")
		refused("sharded", "Shard(1, 4), and the receiver is opened with no Shard", memstreamer.Shard(0, 1))
		refused("whole", "no Shard, and the receiver is opened with Shard(0, 4)", memstreamer.Shard(0, 4))
		for _, r := range []memstreamer.EventReceiver{sharded, again, whole} {
			require.NoError(t, r.Close())
		}
	}
	require.NoError(t, s.Forget(t.Context(), "orders", "whole"))
	require.NoError(t, newReceiver(t, s, "orders", "whole", memstreamer.Shard(0, 4)).Close())
	clock.Step(time.Hour + 1)
	newReceiver(t, s, "orders", "whole")
	require.NoError(t, s.CheckInvariants())
}

// Through As, an engine resumes a consumer that has no shard.
func TestShardAndAs(t *testing.T) {
	s := memstreamer.New()
	newReceiver(t, s, "orders", "step", memstreamer.Shard(1, 4))
	engine := memstreamer.As[engineStreamer](s)
	_, err := engine.NewReceiver(t.Context(), "orders", "step")
	require.ErrorIs(t, err, memstreamer.ErrShard)
}

func TestShardIsRefused(t *testing.T) {
	for _, shard := range [][2]int{{0, 0}, {0, -4}, {-1, -1}, {4, 4}, {-1, 4}, {1, 1}, {2, 0}} {
		own := func(o *memstreamer.ReceiverOptions) { o.ShardIndex, o.ShardCount = shard[0], shard[1] }
		for _, opt := range []memstreamer.ReceiverOption{memstreamer.Shard(shard[0], shard[1]), own} {
			if shard == [2]int{} {
				opt = memstreamer.Shard(0, 0) // set without the option, it is none
			}
			_, err := memstreamer.New().NewReceiver(t.Context(), "orders", "step", memstreamer.Ephemeral(), opt)
			require.EqualError(t, err, fmt.Sprintf("memstreamer: NewReceiver: option 2 of 2: Shard(%d, %d): the count must be at least 1, and the index from 0 to count-1", shard[0], shard[1]))
		}
	}
	o, err := memstreamer.ResolveReceiverOptions(memstreamer.Shard(3, 4))
	require.NoError(t, err)
	require.Equal(t, memstreamer.ReceiverOptions{ShardIndex: 3, ShardCount: 4}, o)
	o, err = memstreamer.ResolveReceiverOptions(memstreamer.Shard(0, 1))
	require.NoError(t, err)
	require.Zero(t, o)
}
