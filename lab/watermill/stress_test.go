//go:build stress

package watermill

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
)

// TestStressSuite runs Watermill's stress suite in memory: the universal suite ten
// times at once, or as often as the environment variable STRESS_TEST_COUNT says. The
// tag is Watermill's: with it, its suite waits longer and doubles GOMAXPROCS.
func TestStressSuite(t *testing.T) { eachConfig(t, newMemory, tests.TestPubSubStressTest) }
