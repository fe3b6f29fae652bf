package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/reference"
	"github.com/memstreamer/memstreamer/lab/histories"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counted ends ctx after as many lines.
type counted struct {
	lines  int
	cancel func()
}

func (c *counted) Write(b []byte) (int, error) {
	if c.lines--; c.lines == 0 {
		c.cancel()
	}
	return len(b), nil
}

// soakFor runs so many plans.
func soakFor(t *testing.T, runs int, makes func(memstreamer.Clock, time.Duration) histories.Streamer) error {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return soak(ctx, 1, 0, &counted{runs, cancel}, makes)
}

func faulty(fault *reference.Fault) func(memstreamer.Clock, time.Duration) histories.Streamer {
	return func(clock memstreamer.Clock, retention time.Duration) histories.Streamer {
		return reference.New(fault, clock, retention)
	}
}

func TestSoakPasses(t *testing.T) {
	require.NoError(t, soakFor(t, 20, func(clock memstreamer.Clock, retention time.Duration) histories.Streamer {
		return memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(retention))
	}))
	require.NoError(t, soakFor(t, 20, faulty(new(reference.Fault))))
}

// What the checkers find, TestEachFaultIsCaught has in all: one of it is enough here.
func TestSoakFindsFaults(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for does, want := range map[string]string{
		"rewinds on a late ack":           "event from behind the cursor",
		"leaks":                           "the heap grew",
		"leaves a goroutine now and then": "unexpected goroutines",
	} {
		err := soakFor(t, 30, faulty(&reference.Fault{Does: does, Life: ctx}))
		require.ErrorContains(t, err, want)
	}
}

func TestHeapIsJudged(t *testing.T) {
	const mb = 1 << 20
	require.NoError(t, grew([]uint64{10 * mb, 12 * mb, 11 * mb, 12 * mb, 10 * mb, 12 * mb}))
	require.NoError(t, grew([]uint64{10 * mb, 10 * mb, 10 * mb, 10 * mb, 30 * mb, 10 * mb}), "up once")
	require.ErrorContains(t, grew([]uint64{10 * mb, 12 * mb, 14 * mb, 16 * mb, 18 * mb, 20 * mb}), "the heap grew")
	require.ErrorContains(t, grew([]uint64{10 * mb, 10 * mb}), "too few")
}
