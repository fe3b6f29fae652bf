package histories

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
)

var (
	seed  = flag.Int64("seed", -1, "check this seed alone, or start with it; -1 leaves it to the test")
	count = flag.Int("seeds", 1, "with -seed, check so many")
)

// searching is how long CheckLinearizable may look for an order.
const searching = time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStreamer(clock memstreamer.Clock, retention time.Duration) Streamer {
	return memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(retention))
}

// seeds returns the first n seeds, or those that were asked for.
func seeds(n int) (all []uint64) {
	first := uint64(0)
	if *seed >= 0 {
		first, n = uint64(*seed), *count
	}
	for i := range n {
		all = append(all, first+uint64(i))
	}
	return all
}

// runPlan runs the plan of a seed, a Seeded one in a bubble.
func runPlan(t *testing.T, seed uint64, pace Pace, makes func(memstreamer.Clock, time.Duration) Streamer) (h *History) {
	if pace == Real {
		return Run(NewPlan(seed), pace, makes)
	}
	synctest.Test(t, func(*testing.T) { h = Run(NewPlan(seed), pace, makes) })
	return h
}

// check returns what both checkers find.
func check(h *History) []Violation {
	return append(CheckCounting(h), CheckLinearizable(h, searching)...)
}

// checkSeed runs a seed and reports what is wrong with its history.
func checkSeed(t *testing.T, seed uint64, pace Pace) *History {
	t.Helper()
	h := runPlan(t, seed, pace, newStreamer)
	violations := check(h)
	for _, v := range violations {
		t.Errorf("seed %d: %v", seed, v)
	}
	if len(violations) > 0 {
		t.Logf("again: go test -run 'TestHistories/%v' -seed %d .", pace, seed)
		if testing.Verbose() {
			for i := range h.Ops {
				t.Log(&h.Ops[i])
			}
		}
	}
	return h
}

func TestHistories(t *testing.T) {
	for pace, n := range map[Pace]int{Seeded: 40, Real: 25} {
		t.Run(pace.String(), func(t *testing.T) {
			seen := coverage{}
			for _, seed := range seeds(n) {
				seen.add(checkSeed(t, seed, pace))
				if t.Failed() {
					return
				}
			}
			t.Log(seen)
			if *seed < 0 {
				seen.require(t)
			}
		})
	}
}

// A bubble's seed gives the same history again, to the nanosecond.
func TestASeedGivesItsHistoryAgain(t *testing.T) {
	for _, seed := range seeds(10) {
		first := render(runPlan(t, seed, Seeded, newStreamer))
		for range 3 {
			require.Equal(t, first, render(runPlan(t, seed, Seeded, newStreamer)), "seed %d", seed)
		}
	}
}

// render returns the calls of h by the bubble's time. Those that returned in
// the same instant have no order.
func render(h *History) string {
	var lines []string
	for _, op := range h.Ops {
		op.Call, op.Return = 0, 0
		lines = append(lines, fmt.Sprintf("%10d %10d %v", op.CalledAt, op.EndedAt, &op))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
