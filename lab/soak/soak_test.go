package main

import (
	"cmp"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/reference"
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

func soakInBubble(t *testing.T, c config, makes func(retention time.Duration) streamer) (failures []string, out string) {
	var b strings.Builder
	synctest.Test(t, func(t *testing.T) {
		failures = run(t.Context(), c, makes(c.retention), &b)
	})
	return failures, b.String()
}

func sound(retention time.Duration) streamer {
	return memstreamer.New(memstreamer.WithRetention(retention))
}

func TestSoakPasses(t *testing.T) {
	c := small()
	require.NoError(t, c.check())
	failures, out := soakInBubble(t, c, sound)
	require.Empty(t, failures)
	require.Equal(t, 5, strings.Count(out, "heap"), out)
	for _, none := range []string{" 0 of them redeliveries", " 0 past the retention period", " 0 names came back"} {
		require.NotContains(t, out, none)
	}
}

func TestSoakFindsEachFault(t *testing.T) {
	signs := map[string]string{
		"rewinds on a late ack":                   "again, or too old",
		"loses a wake-up now and then":            "has not got its last",
		"gives a new name what is too old for it": "again, or too old",

		"goes twice as far back as StreamFromLast says": "again, or too old",
	}
	for _, fault := range reference.Subtle() {
		t.Run(fault.Does, func(t *testing.T) {
			sign := cmp.Or(signs[fault.Does], "has not come")
			failures, _ := soakInBubble(t, small(), func(retention time.Duration) streamer {
				return reference.New(fault, nil, retention)
			})
			require.Positive(t, fault.Shown())
			require.Contains(t, strings.Join(failures, "\n"), sign)
		})
	}
}

func TestSoakFindsAHeapThatGrows(t *testing.T) {
	c := small()
	c.duration = 80 * time.Second
	failures, _ := soakInBubble(t, c, func(retention time.Duration) streamer {
		return reference.New(&reference.Fault{Does: "leaks"}, nil, retention)
	})
	require.Contains(t, strings.Join(failures, "\n"), "the heap grew")
}

func TestSoakFindsGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		leaving := &reference.Fault{Does: "leaves a goroutine now and then", Life: ctx}
		failures := run(t.Context(), small(), reference.New(leaving, nil, small().retention), io.Discard)
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
