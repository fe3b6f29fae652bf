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
// with a group and without, with one lane and with eight.
//
// Two of their tests are skipped in each run. TestReconnect restarts a service
// by a command, and there is none; the module jetstream has such tests of its
// own. TestNewSubscriberReceivesOldMessages is for subscribers without a group,
// and TestConsumerGroups for those with one. What they skip because of
// ExactlyOnceDelivery is run without it.
//
// With short it sends a hundred messages where it would send thousands.
func Run(t *testing.T, short bool, newStreamer func(t *testing.T) memstreamer.EventStreamer) {
	each(t, newStreamer, func(t *testing.T, v variant) {
		v.features.ForceShort = short
		tests.TestPubSub(t, v.features, v.newPubSub, v.newGroupPubSub)

		atLeastOnce := func(name string, test func(*testing.T, tests.TestContext, tests.PubSubConstructor)) {
			t.Run(name+"/AtLeastOnce", func(t *testing.T) {
				t.Parallel()
				features := v.features
				features.ExactlyOnceDelivery = false
				test(t, tests.TestContext{TestID: tests.NewTestID(), Features: features}, v.newPubSub)
			})
		}
		atLeastOnce("TestContinueAfterSubscribeClose", tests.TestContinueAfterSubscribeClose)
		atLeastOnce("TestConcurrentClose", tests.TestConcurrentClose)
	})
}

// RunStress runs their stress suite: the universal suite ten times at once, or as
// often as the environment variable STRESS_TEST_COUNT says.
func RunStress(t *testing.T, newStreamer func(t *testing.T) memstreamer.EventStreamer) {
	each(t, newStreamer, func(t *testing.T, v variant) {
		tests.TestPubSubStressTest(t, v.features, v.newPubSub, v.newGroupPubSub)
	})
}

// variant is one way to configure the Pub/Sub.
type variant struct {
	streamer memstreamer.EventStreamer
	group    string
	lanes    int
	features tests.Features
}

func each(t *testing.T, newStreamer func(t *testing.T) memstreamer.EventStreamer, run func(*testing.T, variant)) {
	for _, group := range []string{"group", ""} {
		for _, lanes := range []int{1, 8} {
			name := "WithGroup"
			if group == "" {
				name = "WithoutGroup"
			}
			t.Run(fmt.Sprintf("%s/Lanes%d", name, lanes), func(t *testing.T) {
				run(t, variant{
					streamer: newStreamer(t),
					group:    group,
					lanes:    lanes,
					features: tests.Features{
						ConsumerGroups:                   group != "",
						ExactlyOnceDelivery:              true,
						GuaranteedOrder:                  true,
						Persistent:                       true,
						RequireSingleInstance:            group == "", // several would get a copy each
						NewSubscriberReceivesOldMessages: group == "",
					},
				})
			})
		}
	}
}

func (v variant) newPubSub(t *testing.T) (message.Publisher, message.Subscriber) {
	return v.newGroupPubSub(t, v.group)
}

// newGroupPubSub makes two, since the suite closes a publisher whose subscriber
// it goes on to use.
func (v variant) newGroupPubSub(t *testing.T, group string) (message.Publisher, message.Subscriber) {
	return v.open(t, group), v.open(t, group)
}

func (v variant) open(t *testing.T, group string) *memwatermill.PubSub {
	pubSub, err := memwatermill.NewPubSub(v.streamer, memwatermill.Config{
		ConsumerGroup: group,
		Lanes:         v.lanes,
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
