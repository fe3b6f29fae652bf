package memstreamer_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// steppedClock stands still until it is stepped.
type steppedClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *steppedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *steppedClock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newRetaining returns a streamer with a retention of one hour.
func newRetaining() (*memstreamer.StreamConstructor, *steppedClock) {
	clock := &steppedClock{now: time.Unix(1_000_000, 0)}
	return memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(time.Hour)), clock
}

// touch is traffic on a topic of its own, enough to sweep up after n others.
func touch(t testing.TB, s memstreamer.EventStreamer, n int) {
	t.Helper()
	sender := newSender(t, s, "traffic")
	for range n/32 + 1 {
		send(t, sender, "")
	}
	require.NoError(t, sender.Close())
}

func topicStats(s *memstreamer.StreamConstructor, topic string) (stats memstreamer.TopicStats, ok bool) {
	for _, stats := range s.Stats().Topics {
		if stats.Topic == topic {
			return stats, true
		}
	}
	return memstreamer.TopicStats{}, false
}

func TestEverythingIsKeptWithoutRetention(t *testing.T) {
	for _, d := range []time.Duration{0, -time.Hour} {
		clock := &steppedClock{}
		s := memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(d))
		send(t, newSender(t, s, "orders"), "7")
		require.NoError(t, newReceiver(t, s, "orders", "step", memstreamer.StreamFromLatest()).Close())
		clock.Step(1e6 * time.Hour)
		touch(t, s, 100)
		requireNothing(t, newReceiver(t, s, "orders", "step"))
		require.Equal(t, "7", recv(t, newReceiver(t, s, "orders", "other")).ForeignID)
	}
}

func TestEventsAreDroppedByAge(t *testing.T) {
	s, clock := newRetaining()
	sender := newSender(t, s, "orders")
	const old = 1000
	for i := range old {
		send(t, sender, fmt.Sprint(i))
	}
	clock.Step(time.Hour)
	send(t, sender, "young")
	stats, _ := topicStats(s, "orders")
	require.Equal(t, memstreamer.TopicStats{Topic: "orders", Retained: old + 1, FirstID: 1, LastID: old + 1}, stats)

	clock.Step(1)
	touch(t, s, old)
	stats, _ = topicStats(s, "orders")
	require.Equal(t, memstreamer.TopicStats{Topic: "orders", Retained: 1, FirstID: old + 1, LastID: old + 1}, stats)
	event := recv(t, newReceiver(t, s, "orders", "late"))
	require.Equal(t, "young", event.ForeignID)
	require.EqualValues(t, old+1, event.ID)
}

// Every call that may add something sweeps.
func TestEachCallSweeps(t *testing.T) {
	for name, call := range map[string]func(*testing.T, *memstreamer.StreamConstructor) func(){
		"Send": func(t *testing.T, s *memstreamer.StreamConstructor) func() {
			sender := newSender(t, s, "other")
			return func() { send(t, sender, "") }
		},
		"NewReceiver": func(t *testing.T, s *memstreamer.StreamConstructor) func() {
			return func() { newReceiver(t, s, "other", "step") }
		},
		"Ack": func(t *testing.T, s *memstreamer.StreamConstructor) func() {
			send(t, newSender(t, s, "other"), "")
			_, ack, err := newReceiver(t, s, "other", "step").Recv(t.Context())
			require.NoError(t, err)
			return func() { require.NoError(t, ack()) }
		},
		"Close of a receiver": func(t *testing.T, s *memstreamer.StreamConstructor) func() {
			r := newReceiver(t, s, "other", "step")
			return func() { require.NoError(t, r.Close()) }
		},
		"Close of a sender": func(t *testing.T, s *memstreamer.StreamConstructor) func() {
			sender := newSender(t, s, "other")
			return func() { require.NoError(t, sender.Close()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, clock := newRetaining()
			use := call(t, s)
			sender := newSender(t, s, "orders")
			send(t, sender, "7")
			require.NoError(t, newReceiver(t, s, "orders", "gone").Close())
			require.NoError(t, sender.Close())
			clock.Step(time.Hour + 1)
			use()
			_, ok := topicStats(s, "orders")
			require.False(t, ok, "the topic is still there")
		})
	}
}

func TestWhatAnOpenReceiverHasNotAckedIsKept(t *testing.T) {
	s, clock := newRetaining()
	sender := newSender(t, s, "orders")
	slow, fast := newReceiver(t, s, "orders", "slow"), newReceiver(t, s, "orders", "fast")
	for i := range 600 {
		send(t, sender, fmt.Sprint(i))
		require.Equal(t, fmt.Sprint(i), recv(t, fast).ForeignID)
	}
	require.Equal(t, "0", recv(t, slow).ForeignID)
	clock.Step(1000 * time.Hour)
	touch(t, s, 600)
	stats, _ := topicStats(s, "orders")
	require.Equal(t, 599, stats.Retained)
	for i := 1; i < 600; i++ {
		require.Equal(t, fmt.Sprint(i), recv(t, slow).ForeignID)
	}
	stats, _ = topicStats(s, "orders")
	require.Zero(t, stats.Retained)

	// With nothing kept at all, receivers go on where they are.
	send(t, sender, "next")
	for _, r := range []memstreamer.EventReceiver{slow, fast} {
		event := recv(t, r)
		require.Equal(t, "next", event.ForeignID)
		requireNothing(t, r)
	}
}

func TestAReceiverOfTwoKeepsEventsUntilBothAreClosed(t *testing.T) {
	s, clock := newRetaining()
	send(t, newSender(t, s, "orders"), "7")
	first, second := newReceiver(t, s, "orders", "step"), newReceiver(t, s, "orders", "step")
	clock.Step(2 * time.Hour)
	require.NoError(t, first.Close())
	require.NoError(t, first.Close())
	touch(t, s, 1)
	stats, _ := topicStats(s, "orders")
	require.Equal(t, 1, stats.Retained)
	require.NoError(t, second.Close())
	stats, _ = topicStats(s, "orders")
	require.Zero(t, stats.Retained)
}

func TestAClosedCursorIsForgottenByAge(t *testing.T) {
	s, clock := newRetaining()
	sender := newSender(t, s, "orders")
	send(t, sender, "1")
	send(t, sender, "2")
	r := newReceiver(t, s, "orders", "step")
	recv(t, r)
	require.NoError(t, r.Close())
	clock.Step(time.Hour)

	// Within the period it resumes, and an open receiver is never forgotten.
	r = newReceiver(t, s, "orders", "step")
	clock.Step(5 * time.Hour)
	event, late, err := r.Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, "2", event.ForeignID)
	require.NoError(t, r.Close())

	send(t, sender, "3")
	clock.Step(time.Minute)
	send(t, sender, "4")
	clock.Step(time.Hour - time.Minute + 1)
	touch(t, s, 10)
	for _, stats := range s.Stats().Receivers {
		require.NotEqual(t, "step", stats.Name)
	}
	r = newReceiver(t, s, "orders", "step")
	require.Equal(t, "4", recv(t, r).ForeignID)
	require.NoError(t, late(), "an ack of a forgotten cursor")
	requireNothing(t, r)
}

// NewReceiver goes by the age of the cursor, swept or not.
func TestAnExpiredCursorIsNotResumed(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, time.Hour + 1} {
		s, clock := newRetaining()
		sender := newSender(t, s, "orders")
		send(t, sender, "1")
		holder := newReceiver(t, s, "orders", "holder")
		// More expired cursors than one call sweeps.
		for i := range 100 {
			r := newReceiver(t, s, "orders", fmt.Sprint(i), memstreamer.StreamFromLatest())
			require.NoError(t, r.Close())
		}
		clock.Step(step)
		r := newReceiver(t, s, "orders", "99")
		if step == time.Hour {
			requireNothing(t, r)
		} else {
			require.Equal(t, "1", recv(t, r).ForeignID)
		}
		require.Equal(t, "1", recv(t, holder).ForeignID)
	}
}

// A cursor that lags behind what is kept resumes at the oldest event kept.
func TestAClosedCursorKeepsNoOldEvents(t *testing.T) {
	s, clock := newRetaining()
	sender := newSender(t, s, "orders")
	send(t, sender, "1")
	clock.Step(time.Hour)
	r := newReceiver(t, s, "orders", "step")
	_, late, err := r.Recv(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.Close())
	send(t, sender, "2")
	clock.Step(time.Minute)
	touch(t, s, 1)
	stats, _ := topicStats(s, "orders")
	require.EqualValues(t, 2, stats.FirstID)
	require.NoError(t, late(), "an ack of a dropped event")
	r = newReceiver(t, s, "orders", "step")
	require.NoError(t, late())
	require.Equal(t, "2", recv(t, r).ForeignID)
}

func TestATopicIsForgottenWithAllThatKeepsIt(t *testing.T) {
	s, clock := newRetaining()
	sender := newSender(t, s, "orders")
	send(t, sender, "1")
	require.NoError(t, sender.Send(t.Context(), "2", 1, map[memstreamer.Header]string{memstreamer.HeaderTopic: "by header"}))
	r := newReceiver(t, s, "orders", "step")
	_, late, err := r.Recv(t.Context())
	require.NoError(t, err)
	clock.Step(2 * time.Hour)
	touch(t, s, 2)
	_, ok := topicStats(s, "by header")
	require.False(t, ok)

	require.NoError(t, r.Close())
	clock.Step(2 * time.Hour)
	touch(t, s, 2)
	_, ok = topicStats(s, "orders")
	require.True(t, ok, "its sender is open")
	require.NoError(t, sender.Close())
	_, ok = topicStats(s, "orders")
	require.False(t, ok)

	// The topic's next life has nothing to do with its last one.
	again := newSender(t, s, "orders")
	send(t, again, "3")
	require.NoError(t, late())
	require.NoError(t, sender.Close())
	require.NoError(t, r.Close())
	event := recv(t, newReceiver(t, s, "orders", "step"))
	require.Equal(t, "3", event.ForeignID)
	require.Greater(t, event.ID, int64(2))
}

func TestAClockThatGoesBackDropsNothing(t *testing.T) {
	s, clock := newRetaining()
	sender := newSender(t, s, "orders")
	send(t, sender, "1")
	clock.Step(-10 * time.Hour)
	send(t, sender, "2")
	require.NoError(t, newReceiver(t, s, "orders", "step").Close())
	clock.Step(time.Hour)
	touch(t, s, 2)
	r := newReceiver(t, s, "orders", "step")
	require.Equal(t, "1", recv(t, r).ForeignID)
	require.Equal(t, "2", recv(t, r).ForeignID)
}

func TestAnAckOfADroppedEventIsTold(t *testing.T) {
	s, clock := newRetaining()
	send(t, newSender(t, s, "orders"), "1")
	r := newReceiver(t, s, "orders", "step")
	_, late, err := r.Recv(t.Context())
	require.NoError(t, err)
	clock.Step(time.Hour + 1)
	require.NoError(t, r.Close())
	newReceiver(t, s, "orders", "step")
	require.NoError(t, late())
	receivers := s.Stats().Receivers
	require.Equal(t, []memstreamer.ReceiverStats{{Topic: "orders", Name: "step", Open: 1, AckedID: 1}}, receivers)
}

// One cursor that was closed before the clock went back holds up no other.
func TestCursorsAreForgottenAfterTheClockWentBack(t *testing.T) {
	s, clock := newRetaining()
	clock.Step(1000 * time.Hour)
	require.NoError(t, newReceiver(t, s, "orders", "ahead").Close())
	clock.Step(-1000 * time.Hour)
	for i := range 100 {
		require.NoError(t, newReceiver(t, s, "orders", fmt.Sprint(i)).Close())
	}
	clock.Step(time.Hour + 1)
	touch(t, s, 100)
	receivers := s.Stats().Receivers
	require.Len(t, receivers, 1)
	require.Equal(t, "ahead", receivers[0].Name)
}

func TestConnectorRetention(t *testing.T) {
	clock := &steppedClock{now: time.Unix(1_000_000, 0)}
	c := memstreamer.NewConnector([]memstreamer.ConnectorEvent{{ID: "1"}}, memstreamer.WithClock(clock), memstreamer.WithRetention(time.Hour))
	clock.Step(time.Hour)
	require.NoError(t, c.Append(memstreamer.ConnectorEvent{ID: "2"}))
	event, _, err := newConsumer(t, c, "early").Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1", event.ID, "its age counts from when it was added")
	clock.Step(time.Hour)
	require.NoError(t, c.Append(memstreamer.ConnectorEvent{ID: "3"}))
	event, _, err = newConsumer(t, c, "early").Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1", event.ID, "it is un-acked by an open consumer")
}
