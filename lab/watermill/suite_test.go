package watermill

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

var full = flag.Bool("full", false, "send as many messages as the universal suite does to a disk too, which takes minutes")

func TestUniversalSuite(t *testing.T) {
	t.Run("memory", func(t *testing.T) { runSuite(t, false, newMemory) })
	eachBackend(t, func(t *testing.T, open opener) {
		s, stop := open(t)
		t.Cleanup(stop) // after the parallel tests
		runSuite(t, !*full, func(*testing.T) memstreamer.EventStreamer { return s })
	})
}

func newMemory(*testing.T) memstreamer.EventStreamer { return memstreamer.New() }

// runSuite runs the suite on newStreamer's streamers, one for each of its four runs:
// with a group and without, with one lane and with eight. What it skips because
// of ExactlyOnceDelivery is run without that; the README lists the rest.
//
// With short it sends a hundred messages where it would send thousands.
func runSuite(t *testing.T, short bool, newStreamer func(t *testing.T) memstreamer.EventStreamer) {
	eachConfig(t, newStreamer, func(t *testing.T, features tests.Features, open tests.PubSubConstructor, openGroup tests.ConsumerGroupPubSubConstructor) {
		features.ForceShort = short
		tests.TestPubSub(t, features, open, openGroup)

		features.ExactlyOnceDelivery = false
		for name, test := range map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor){
			"TestContinueAfterSubscribeClose": tests.TestContinueAfterSubscribeClose,
			"TestConcurrentClose":             tests.TestConcurrentClose,
		} {
			t.Run(name+"/AtLeastOnce", func(t *testing.T) {
				t.Parallel()
				test(t, tests.TestContext{TestID: tests.NewTestID(), Features: features}, open)
			})
		}
	})
}

// eachConfig calls run with what its suites take, for each way to configure the Pub/Sub.
func eachConfig(
	t *testing.T,
	newStreamer func(t *testing.T) memstreamer.EventStreamer,
	run func(*testing.T, tests.Features, tests.PubSubConstructor, tests.ConsumerGroupPubSubConstructor),
) {
	for _, group := range []string{"", "group"} {
		for _, lanes := range []int{1, 8} {
			name := map[string]string{"": "WithoutGroup", "group": "WithGroup"}[group]
			t.Run(fmt.Sprintf("%s/Lanes%d", name, lanes), func(t *testing.T) {
				streamer := newStreamer(t)
				// Two at a time, since the suite closes a publisher whose subscriber it goes
				// on to use.
				openGroup := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
					return newPubSub(t, streamer, group, lanes), newPubSub(t, streamer, group, lanes)
				}
				run(t, tests.Features{
					ConsumerGroups:                   group != "",
					ExactlyOnceDelivery:              true,
					GuaranteedOrder:                  true,
					Persistent:                       true,
					RequireSingleInstance:            group == "", // several would get a copy each
					NewSubscriberReceivesOldMessages: group == "",
				}, func(t *testing.T) (message.Publisher, message.Subscriber) { return openGroup(t, group) }, openGroup)
			})
		}
	}
}

func newPubSub(t *testing.T, streamer memstreamer.EventStreamer, group string, lanes int) *memwatermill.PubSub {
	pubSub, err := memwatermill.NewPubSub(streamer, memwatermill.Config{
		ConsumerGroup: group,
		Lanes:         lanes,
		// The suite tells by its payload which messages are to be in order.
		LaneKey: func(m *message.Message) string { return string(m.Payload) },
		// It nacks a message a hundred times, and closes with some un-acked.
		NackDelay:    time.Millisecond,
		MaxNackDelay: 2 * time.Millisecond,
		CloseTimeout: time.Second,
	}, nil)
	require.NoError(t, err)
	// Not all that it opens does it close.
	t.Cleanup(func() { _ = pubSub.Close() })
	return pubSub
}
