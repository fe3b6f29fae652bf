package histories

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/reference"
)

// caught says by which rules each fault has to be found. A wake-up that is lost
// delays a call and changes no outcome, so that every history stays linearizable:
// only the counting of who still waits can find it.
var caught = map[string][]Rule{
	"drops one event in a thousand":           {Lost, NotLinearizable},
	"rewinds on a late ack":                   {Behind, NotLinearizable},
	"loses a wake-up now and then":            {Stalled},
	"shares a cursor between topics":          {Lost, NotLinearizable},
	"trims one event too early":               {Lost, NotLinearizable},
	"reorders two neighbours":                 {Disordered, NotLinearizable},
	"keeps nothing for a closed receiver":     {Lost, NotLinearizable},
	"gives a new name what is too old for it": {Behind, NotLinearizable},

	"keeps nothing for an ephemeral receiver":          {Lost, NotLinearizable},
	"has ephemeral receivers of a name share a cursor": {Lost, NotLinearizable},
	"goes twice as far back as StreamFromLast says":    {Behind, NotLinearizable},

	"keeps nothing for a shard":                         {Lost, NotLinearizable},
	"has a shard pass over one of its own now and then": {Lost, NotLinearizable},
}

// Each fault is found by what should find it, in three histories, and nothing
// is counted in a history in which it did not show.
func TestEachFaultIsCaught(t *testing.T) {
	const enough, most = 3, 200
	for _, fault := range slices.Concat(reference.Subtle(), reference.Shards()) {
		t.Run(fault.Does, func(t *testing.T) {
			rules := caught[fault.Does]
			require.NotEmpty(t, rules)
			found := map[Rule]int{}
			shown := 0
			for _, seed := range seeds(most) {
				before := fault.Shown()
				h := runPlan(t, seed, Seeded, func(clock memstreamer.Clock, retention time.Duration) Streamer {
					return reference.New(fault, clock, retention)
				})
				if fault.Shown() == before {
					require.Empty(t, CheckCounting(h), "seed %d, in which the fault did not show", seed)
					continue
				}
				shown++
				broken := map[Rule]bool{}
				for _, v := range check(h) {
					broken[v.Rule] = true
				}
				for rule := range broken {
					found[rule]++
				}
				if !slices.ContainsFunc(rules, func(rule Rule) bool { return found[rule] < enough }) {
					break
				}
			}
			t.Logf("showed %d times, in %d histories; of these broke", fault.Shown(), shown)
			for _, rule := range slices.Sorted(maps.Keys(found)) {
				t.Logf("%4d: %s", found[rule], rule)
			}
			require.Positive(t, fault.Shown())
			for _, rule := range rules {
				assert.GreaterOrEqual(t, found[rule], enough, rule)
			}
			if !slices.Contains(rules, NotLinearizable) {
				assert.Zero(t, found[NotLinearizable])
			}
		})
	}
}
