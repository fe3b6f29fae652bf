package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/robustness/internal/faulty"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// small is a soak that is over soon in a bubble, whose time is not the wall's.
func small() config {
	return config{
		duration: 25*time.Second + 1, every: 5 * time.Second, retention: 2 * time.Second,
		topics: 4, receivers: 16, rate: 400, seed: 1,
	}
}

func soakInBubble(t *testing.T, c config, makes func(memstreamer.Option) streamer) (failures []string, out string) {
	var b strings.Builder
	synctest.Test(t, func(t *testing.T) {
		failures = run(t.Context(), c, makes(memstreamer.WithRetention(c.retention)), &b)
	})
	return failures, b.String()
}

func sound(o memstreamer.Option) streamer { return memstreamer.New(o) }

func TestSoakPasses(t *testing.T) {
	c := small()
	require.NoError(t, c.check())
	failures, out := soakInBubble(t, c, sound)
	require.Empty(t, failures)
	require.Equal(t, 5, strings.Count(out, "heap"), out)
	require.NotContains(t, out, " 0 of them redeliveries")
	require.NotContains(t, out, "; 0 cursors forgotten, ")
	require.NotContains(t, out, ", 0 events dropped")
}

func TestSoakFindsEachFault(t *testing.T) {
	signs := map[string]string{
		"drops one event in a thousand":  "has not come",
		"rewinds on a late ack":          "again, after the ack",
		"loses a wake-up now and then":   "has not got its last",
		"shares a cursor between topics": "has not come",
		"trims one event too early":      "has not come",
		"reorders two neighbours":        "has not come",
	}
	for _, fault := range faulty.All() {
		t.Run(fault.Name, func(t *testing.T) {
			failures, _ := soakInBubble(t, small(), func(o memstreamer.Option) streamer {
				return fault.Wrap(memstreamer.New(o))
			})
			require.Positive(t, fault.Fired())
			require.Contains(t, strings.Join(failures, "\n"), signs[fault.Name])
		})
	}
}

func TestSoakFindsAHeapThatGrows(t *testing.T) {
	c := small()
	c.duration, c.rate = 80*time.Second, 2000
	failures, _ := soakInBubble(t, c, func(memstreamer.Option) streamer { return memstreamer.New() })
	require.Contains(t, strings.Join(failures, "\n"), "the heap grew")
}

// leaking leaves a goroutine behind for each receiver.
type leaking struct {
	streamer
	done chan struct{}
}

func (l leaking) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	go func() { <-l.done }()
	return l.streamer.NewReceiver(ctx, topic, name, opts...)
}

func TestSoakFindsGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := small()
		l := leaking{memstreamer.New(memstreamer.WithRetention(c.retention)), make(chan struct{})}
		defer close(l.done)
		failures := run(t.Context(), c, l, io.Discard)
		require.Len(t, failures, 1)
		require.Contains(t, failures[0], "goroutines are left")
	})
}

func TestHeapIsJudged(t *testing.T) {
	const mb = 1 << 20
	for name, test := range map[string]struct {
		sizes []uint64
		want  string
	}{
		"flat":    {[]uint64{10 * mb, 12 * mb, 11 * mb, 12 * mb, 10 * mb, 12 * mb}, ""},
		"up once": {[]uint64{10 * mb, 10 * mb, 10 * mb, 10 * mb, 30 * mb, 10 * mb}, ""},
		"grows":   {[]uint64{10 * mb, 12 * mb, 14 * mb, 16 * mb, 18 * mb, 20 * mb}, "the heap grew"},
		"too few": {[]uint64{10 * mb, 10 * mb}, "too few"},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&heapWatch{sizes: test.sizes}).grew()
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.want)
			}
		})
	}
}

func TestConfigIsChecked(t *testing.T) {
	require.NoError(t, defaults().check())
	for want, change := range map[string]func(*config){
		"-topics is 0":      func(c *config) { c.topics = 0 },
		"-receivers is 500": func(c *config) { c.receivers = 500 },
		"-receivers is 64":  func(c *config) { c.receivers = 64 },
		"-rate is 1":        func(c *config) { c.rate = 1 },
		"-retention is 0s":  func(c *config) { c.retention = 0 },
		"-for is 1s":        func(c *config) { c.duration = time.Second },
		"and -every 0s":     func(c *config) { c.every = 0 },
	} {
		c := defaults()
		change(&c)
		require.ErrorContains(t, c.check(), want)
	}
}
