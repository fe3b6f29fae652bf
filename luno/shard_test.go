package luno_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/luno"
)

// TestShards has an engine whose steps have a ParallelCount do each run once. It counts
// what the receivers of its steps ack: without shards each gets all events, which the
// engine drops but for its own.
func TestShards(t *testing.T) {
	const runs, parallel = 30, 4
	for name, test := range map[string]struct {
		view func(*memstreamer.StreamConstructor) workflow.EventStreamer
		made bool  // before, by As
		acks int64 // of an event
	}{
		"Streamer":            {func(s *memstreamer.StreamConstructor) workflow.EventStreamer { return luno.Streamer(s) }, false, 1},
		"As":                  {as, false, parallel},
		"Streamer, after one": {func(s *memstreamer.StreamConstructor) workflow.EventStreamer { return luno.Streamer(s) }, true, parallel},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstreamer.New()
				var steps atomic.Int64
				engine := func(view workflow.EventStreamer) *workflow.Workflow[object, status] {
					b := workflow.NewBuilder[object, status]("The Orders")
					for from := status(1); from < 3; from++ {
						b.AddStep(from, func(ctx context.Context, r *run) (status, error) {
							steps.Add(1)
							return next(ctx, r)
						}, from+1).WithOptions(workflow.ParallelCount(parallel))
					}
					w := b.Build(view, luno.ParkOutbox(memrecordstore.New(), 0), memrolescheduler.New())
					w.Run(t.Context())
					synctest.Wait()
					return w
				}
				if test.made {
					engine(as(s)).Stop()
				}
				w := engine(test.view(s))
				defer w.Stop()
				for i := range runs {
					trigger(t, w, fmt.Sprint("order ", i))
				}
				time.Sleep(time.Minute)
				require.EqualValues(t, 2*runs, steps.Load())
				acked, lag, receivers := int64(0), int64(0), 0
				for _, r := range s.Stats().Receivers {
					if strings.Contains(r.Name, "-of-") {
						acked += r.Acked
						lag += r.Lag
						receivers++
					}
				}
				require.Equal(t, 2*runs*test.acks, acked)
				require.Zero(t, lag)
				require.Equal(t, 2*parallel, receivers)
			})
		})
	}
}

func as(s *memstreamer.StreamConstructor) workflow.EventStreamer {
	return memstreamer.As[workflow.EventStreamer](s)
}

// TestShardsByName opens receivers of names that end as those of shards do. Only a
// receiver in the shard can then be opened beside it.
func TestShardsByName(t *testing.T) {
	for _, test := range []struct {
		topic, name  string
		index, count int
	}{
		{"orders-1", "orders-1-consumer-1-of-16", 0, 16},
		{"orders-1", "orders-1-consumer-16-of-16", 15, 16},
		{"The_Orders-1", "the_orders-1-consumer-3-of-4", 2, 4},
		{"await-1", "await-1-consumer-2-of-2", 1, 2},
		{"orders-1", "orders-1-consumer-1-of-1", 0, 1},

		{"orders-1", "orders-1-consumer-0-of-16", 0, 1},
		{"orders-1", "orders-1-consumer-17-of-16", 0, 1},
		{"orders-1", "orders-1-consumer-03-of-16", 0, 1},
		{"orders-1", "orders-1-consumer-+3-of-16", 0, 1},
		{"orders-1", "orders-1-consumer-3-of-16-again", 0, 1},
		{"orders-1", "orders-1-consumer-3-of-", 0, 1},
		{"orders-1", "orders-1-consumer--3-of--16", 0, 1},
		{"orders-1", "orders-1-consumer-3-of-99999999999999999999", 0, 1},
		{"orders-1", "orders-2-consumer-3-of-16", 0, 1},
		{"orders-1", "my-consumer-3-of-16", 0, 1},
		{"orders-1", "consumer-3-of-16", 0, 1},
		{"orders-1", "3-of-16", 0, 1},
		{"orders-run-state-change", "orders-1-consumer-3-of-16", 0, 1},
		{"orders-1-consumer-3-of-16", "orders-1-consumer-3-of-16-completed-run-state-change-hook-consumer", 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := memstreamer.New()
			_, err := luno.Streamer(s).NewReceiver(t.Context(), test.topic, test.name, workflow.StreamFromLatest())
			require.NoError(t, err)
			_, err = s.NewReceiver(t.Context(), test.topic, test.name, memstreamer.Shard(test.index, test.count))
			require.NoError(t, err)
		})
	}
}

// TestShardRefused has errors of NewReceiver come back as they are.
func TestShardRefused(t *testing.T) {
	s := memstreamer.New()
	_, err := s.NewReceiver(t.Context(), "orders-1", "orders-1-consumer-2-of-4", memstreamer.Shard(2, 4))
	require.NoError(t, err)
	_, err = luno.Streamer(s).NewReceiver(t.Context(), "orders-1", "orders-1-consumer-2-of-4")
	require.ErrorIs(t, err, memstreamer.ErrShard)
	require.NoError(t, s.Close())
	_, err = luno.Streamer(s).NewReceiver(t.Context(), "orders-1", "orders-1-consumer-2-of-4")
	require.ErrorIs(t, err, memstreamer.ErrClosed)
}
