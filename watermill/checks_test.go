package memwatermill_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer/watermill/internal/hooked"
)

// check is one thing that the adapter promises.
type check struct {
	name   string
	run    func(*fixture)
	faults []fault
}

// fault is a way in which the adapter might be wrong.
type fault struct {
	does  string
	says  string // part of what the check reports
	plant plant
}

var checks = []check{
	{"UnackedComesAgain", unackedComesAgain, []fault{
		{"acks before delivery", `message "a" did not come`, received(ackFirst)},
	}},
	{"NackedComesAgain", nackedComesAgain, []fault{
		{"loses a Nack", `message "a" did not come`, relayed(changeNothing, (*message.Message).Ack)},
		{"delivers the same message again", "has the metadata that was set", relayed(keepMetadata(), (*message.Message).Nack)},
	}},
	{"NackDelayGrows", nackDelayGrows, []fault{
		{"waits equally long", "after 1s, not 2s", configured(func(c *config) { c.MaxNackDelay = c.NackDelay })},
		{"has no cap", "after 8s, not 5s", configured(func(c *config) { c.MaxNackDelay = time.Hour })},
		{"does not start anew", "message b came again after 2s, not 1s", received(holdB)},
	}},
	{"TravelsUnchanged", travelsUnchanged, []fault{
		{"reroutes by metadata", `message "b" came, and not "a"`, sent(unescape)},
		{"mends bytes that are not UTF-8", "came with", sent(mendText)},
	}},
	{"MessageContext", messageContext, []fault{
		{"makes contexts of its own", "has no values", withContext(background)},
		{"does not end them", "is not done", withContext(context.WithoutCancel)},
		{"ends them at once", "is done before its Ack", withContext(canceled)},
	}},
	{"StartsWhereItShould", startsWhereItShould, []fault{
		{"starts with the oldest always", `message "a" came, and none should`, configured(func(c *config) { c.StreamFromLatest = false })},
		{"starts after the newest always", `message "a" did not come`, configured(func(c *config) { c.StreamFromLatest = true })},
	}},
	{"NameIsForgotten", nameIsForgotten, []fault{{"remembers every name", "is left", bare}}},
	{"NothingStaysOpen", nothingStaysOpen, []fault{{"closes nothing", "is kept", onTop(keepOpen)}}},
	{"OneInFlight", oneInFlight, []fault{{"delivers to two of a group", "were handled at once", unrelated}}},
	{"LanesKeepKeysInOrder", lanesKeepKeysInOrder, []fault{
		{"handles one at a time", "were handled in 2", configured(func(c *config) { c.Lanes = 1 })},
		{"deals by something else than the key", "were handled in the order", configured(func(c *config) { c.LaneKey = nil })},
		{"has two deal", "were handled in the order", unrelated},
		{"has more in flight than lanes", "were handled at once", configured(func(c *config) { c.Lanes = 64 })},
	}},
	{"StuckHoldsItsLane", stuckHoldsItsLane, []fault{
		{"holds all", "did not come", configured(func(c *config) { c.Lanes = 1 })},
	}},
	{"OthersTakeOver", othersTakeOver, []fault{{"keeps its turns", "did not come", onTop(keepOpen)}}},
	{"LanesChange", lanesChange, []fault{{"does not look for what is left", "did not come", bare}}},
	{"DrainsItsOwn", drainsItsOwn, []fault{
		{"counts what others have not acked", "deadline exceeded", beneath(countAll)},
	}},
	{"DrainsOnce", drainsOnce, []fault{{"keeps its turns", "did not come", onTop(keepOpen)}}},
	{"DrainingHoldsNobody", drainingHoldsNobody, []fault{{"ignores the context", "waits on", onTop(deafen)}}},
	{"LanesExpireWhileDraining", lanesExpireWhileDraining, []fault{
		{"counts before it receives", "deadline exceeded", beneath(countOnce)},
	}},
	{"ContextEndsSubscription", contextEndsSubscription, []fault{
		{"ignores the context", "the message's context is not done", onTop(deafen)},
		{"does not wait for the Ack", "came, and not", configured(func(c *config) { c.CloseTimeout = 1 })},
	}},
	{"CloseWaits", closeWaits, []fault{
		{"does not wait", "did not wait", configured(func(c *config) { c.CloseTimeout = 1 })},
		{"refuses what handlers publish", "Publish during Close", onTop(hasten)},
	}},
	{"CloseGivesUp", closeGivesUp, []fault{
		{"waits too long", "Close waited for 1h0m0s, not 1m0s", configured(func(c *config) { c.CloseTimeout *= 60 })},
	}},
	{"CloseLeavesNothing", closeLeavesNothing, []fault{{"leaks a goroutine", "found unexpected goroutines", onTop(leak)}}},
	{"StreamerFails", streamerFails, []fault{
		{"gives up", "did not come", relayed(holdSeventh, (*message.Message).Nack)},
		{"acks once", `message "last" came, and none should`, configured(func(c *config) { c.CloseTimeout = 1 })},
	}},
	{"StreamerCloses", streamerCloses, []fault{{"does not notice", "the channel is not closed", hooks(hooked.Hooks{Recv: ignoreClose})}}},
}

func TestBehaviour(t *testing.T) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { withFixture(t, c.run) })
	}
}

// TestFaults shows that each check catches what it is there for.
func TestFaults(t *testing.T) {
	for _, c := range checks {
		if len(c.faults) == 0 {
			t.Errorf("no fault breaks %s", c.name)
		}
		for _, f := range c.faults {
			t.Run(c.name+"/"+f.does, func(t *testing.T) {
				err := try(t, func(fx *fixture) {
					f.plant(fx)
					c.run(fx)
				})
				if err == nil || !strings.Contains(err.Error(), f.says) {
					t.Errorf("the check reports %v, and not %q", err, f.says)
				}
			})
		}
	}
}
