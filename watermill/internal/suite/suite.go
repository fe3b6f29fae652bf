// Package suite runs Watermill's universal suite, pubsub/tests, on a streamer.
package suite

import (
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// Run runs the suite on newStreamer's streamers, one for each of its four runs:
// with a group and without, with one lane and with eight. What it skips because
// of ExactlyOnceDelivery is run without that; the README lists the rest.
//
// With short it sends a hundred messages where it would send thousands.
func Run(t *testing.T, short bool, newStreamer func(t *testing.T) memstreamer.EventStreamer) {
	each(t, newStreamer, func(t *testing.T, features tests.Features, open tests.PubSubConstructor, openGroup tests.ConsumerGroupPubSubConstructor) {
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

// RunStress runs their stress suite: the universal suite ten times at once, or as
// often as the environment variable STRESS_TEST_COUNT says.
func RunStress(t *testing.T, newStreamer func(t *testing.T) memstreamer.EventStreamer) {
	each(t, newStreamer, tests.TestPubSubStressTest)
}

// each calls run with what its suites take, for each way to configure the Pub/Sub.
func each(
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
					return open(t, streamer, group, lanes), open(t, streamer, group, lanes)
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

func open(t *testing.T, streamer memstreamer.EventStreamer, group string, lanes int) *memwatermill.PubSub {
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
	if err != nil {
		t.Fatal(err)
	}
	// Not all that it opens does it close.
	t.Cleanup(func() { _ = pubSub.Close() })
	return pubSub
}
