package memstreamer_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/journal"
)

// TestJournalLoads loads events with gaps between their IDs, all of them older
// than the retention.
func TestJournalLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstreamer.New(memstreamer.WithRetention(time.Hour))
		old := time.Now().Add(-24 * time.Hour)
		journal.Of(s).Load(slices.Values([]journal.Event{
			{Topic: "orders", ID: 3, CreatedAt: old, ForeignID: "a", Type: -1},
			{Topic: "orders", ID: 7, CreatedAt: old, ForeignID: "b", Headers: []journal.Header{}},
			{Topic: "parcels", ID: 8, CreatedAt: old, ForeignID: "c", Headers: []journal.Header{{Name: "run_id", Value: "1"}, {Name: "other", Value: "2"}}},
			{Topic: "orders", ID: 9, CreatedAt: old, ForeignID: "d"},
		}), []journal.Saved{
			{Topic: "orders", Name: "gone", Position: journal.Position{After: 5, AckedID: 5}},
			{Topic: "orders", Name: "last", Position: journal.Position{After: 7, AckedID: 7}},
			{Topic: "orders", Name: "done", Position: journal.Position{After: 12}},
			{Topic: "parcels", Name: "new"},
		}, 11)

		r, err := s.NewReceiver(t.Context(), "orders", "gone")
		require.NoError(t, err)
		for _, want := range []memstreamer.Event{
			{ID: 7, CreatedAt: old.Round(0), ForeignID: "b", Headers: map[memstreamer.Header]string{}},
			{ID: 9, CreatedAt: old.Round(0), ForeignID: "d"},
		} {
			e, ack, err := r.Recv(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want, *e)
			require.NoError(t, ack())
		}
		last, err := s.NewReceiver(t.Context(), "orders", "last")
		require.NoError(t, err)
		e, _, err := last.Recv(t.Context())
		require.NoError(t, err)
		assert.EqualValues(t, 9, e.ID, "of the event after the one that it has acked")
		parcels, err := s.NewReceiver(t.Context(), "parcels", "new")
		require.NoError(t, err)
		e, _, err = parcels.Recv(t.Context())
		require.NoError(t, err)
		assert.Equal(t, map[memstreamer.Header]string{"run_id": "1", "other": "2"}, e.Headers)

		position := func(topic, name string) journal.Position {
			t.Helper()
			c := journal.Of(s).Cursor(topic, name)
			require.NotNil(t, c)
			require.True(t, c == journal.Of(s).Cursor(topic, name))
			p, ok := c.Position()
			require.True(t, ok)
			return p
		}
		assert.Equal(t, journal.Position{After: 11, AckedID: 9}, position("orders", "gone"))
		assert.Equal(t, journal.Position{After: 11}, position("orders", "done"))
		assert.Equal(t, journal.Position{After: 7}, position("parcels", "new"))
		assert.Nil(t, journal.Of(s).Cursor("orders", "unknown"))

		// They count as closed since then, and hold until they are forgotten what
		// they have not acked: event 8 is only held by a name.
		stats := s.Stats()
		assert.Equal(t, []memstreamer.TopicStats{
			{Topic: "orders", Retained: 1, FirstID: 9, LastID: 9, Sent: 3},
			{Topic: "parcels", Retained: 1, FirstID: 8, LastID: 8, Sent: 1},
		}, stats.Topics)
		require.NoError(t, parcels.Close())
		time.Sleep(time.Hour)
		assert.Len(t, s.Stats().Receivers, 4)
		time.Sleep(time.Nanosecond)
		assert.Len(t, s.Stats().Receivers, 2, "those with open receivers")
		assert.Nil(t, journal.Of(s).Cursor("unknown", "gone"))
	})
}

// TestJournalLoadsNoLastID loads events whose newest is newer than what the journal
// has as its last.
func TestJournalLoadsNoLastID(t *testing.T) {
	s := memstreamer.New()
	journal.Of(s).Load(slices.Values([]journal.Event{{Topic: "orders", ID: 7}}), nil, 3)
	send(t, newSender(t, s, "orders"), "next")
	assert.EqualValues(t, 8, s.Stats().Topics[0].LastID)
}

// TestJournalAges appends an event that waited for its journal: its age counts from
// when it was created, as a Send's does. Append sweeps as any call.
func TestJournalAges(t *testing.T) {
	s, clock := newRetaining()
	journal.Of(s).Append([]journal.Event{{Topic: "orders", ID: 1, CreatedAt: clock.Now().Add(-30 * time.Minute)}})
	clock.Step(30 * time.Minute)
	journal.Of(s).Append([]journal.Event{{Topic: "parcels", ID: 2, CreatedAt: clock.Now()}})
	assert.Equal(t, 1, s.Retained("orders"))
	clock.Step(1)
	journal.Of(s).Append([]journal.Event{{Topic: "parcels", ID: 3, CreatedAt: clock.Now()}})
	assert.False(t, s.HasTopic("orders"))
	require.NoError(t, s.CheckInvariants())
}

// TestJournalAppends appends events to a topic on which a receiver is parked.
func TestJournalAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstreamer.New()
		r, err := s.NewReceiver(t.Context(), "orders", "a")
		require.NoError(t, err)
		received := make(chan *memstreamer.Event)
		go func() {
			e, _, _ := r.Recv(t.Context())
			received <- e
		}()
		synctest.Wait()
		journal.Of(s).Append([]journal.Event{{Topic: "parcels", ID: 4}, {Topic: "orders", ID: 6, CreatedAt: time.Unix(1, 2)}})
		assert.Equal(t, &memstreamer.Event{ID: 6, CreatedAt: time.Unix(1, 2)}, <-received)

		// The log goes on from there.
		sender, err := s.NewSender(t.Context(), "orders")
		require.NoError(t, err)
		require.NoError(t, sender.Send(t.Context(), "next", 1, nil))
		for _, topic := range s.Stats().Topics {
			if topic.Topic == "orders" {
				assert.EqualValues(t, 7, topic.LastID)
			}
		}
	})
}

// TestJournalForgets opens a name again that was forgotten.
func TestJournalForgets(t *testing.T) {
	s := memstreamer.New()
	open := func() journal.Cursor {
		r, err := s.NewReceiver(t.Context(), "orders", "a")
		require.NoError(t, err)
		require.NoError(t, r.Close())
		return journal.Of(s).Cursor("orders", "a")
	}
	before := open()
	journal.Of(s).Append([]journal.Event{{Topic: "orders", ID: 1}})
	require.NoError(t, s.Forget(t.Context(), "orders", "a"))
	_, ok := before.Position()
	assert.False(t, ok)
	assert.False(t, before == open())
}

// TestJournalLoadsPositions loads cursors at, before and behind an event's ID.
func TestJournalLoadsPositions(t *testing.T) {
	s := memstreamer.New()
	journal.Of(s).Load(slices.Values([]journal.Event{
		{Topic: "orders", ID: 3, ForeignID: "a"}, {Topic: "orders", ID: 7, ForeignID: "b"},
	}), []journal.Saved{
		{Topic: "orders", Name: "before", Position: journal.Position{After: 2}},
		{Topic: "orders", Name: "at", Position: journal.Position{After: 3, AckedID: 3}},
		{Topic: "orders", Name: "behind", Position: journal.Position{After: 4}},
	}, 5)
	require.EqualValues(t, 3, s.Stats().Receivers[0].AckedID)
	for name, want := range map[string]string{"before": "a", "at": "b", "behind": "b"} {
		require.Equal(t, want, recv(t, newReceiver(t, s, "orders", name)).ForeignID, name)
	}
	send(t, newSender(t, s, "orders"), "next")
	stats, _ := topicStats(s, "orders")
	require.EqualValues(t, 8, stats.LastID, "the last event's ID is greater than the last ID given")

	// And the other way around.
	s = memstreamer.New()
	journal.Of(s).Load(slices.Values([]journal.Event{{Topic: "orders", ID: 3}}), nil, 11)
	send(t, newSender(t, s, "orders"), "next")
	stats, _ = topicStats(s, "orders")
	require.EqualValues(t, 12, stats.LastID)
}

// TestJournalForgetsLoaded counts a loaded cursor as closed from the load on.
func TestJournalForgetsLoaded(t *testing.T) {
	s, clock := newRetaining()
	clock.Step(10 * time.Hour)
	journal.Of(s).Load(slices.Values([]journal.Event{{Topic: "orders", ID: 1, CreatedAt: clock.Now()}}),
		[]journal.Saved{{Topic: "orders", Name: "gone"}}, 1)
	clock.Step(time.Hour)
	require.Len(t, s.Stats().Receivers, 1)
	clock.Step(1)
	require.Empty(t, s.Stats().Receivers)
	require.NoError(t, s.CheckInvariants())
}

// TestJournalWakesAll appends to two topics at once, on each of which two
// receivers are parked.
func TestJournalWakesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstreamer.New()
		received := make(chan string)
		for _, topic := range []string{"orders", "parcels"} {
			for _, name := range []string{"a", "b"} {
				r := newReceiver(t, s, topic, name)
				go func() {
					e, _, err := r.Recv(t.Context())
					assert.NoError(t, err)
					received <- e.ForeignID
				}()
			}
		}
		synctest.Wait()
		journal.Of(s).Append([]journal.Event{{Topic: "orders", ID: 1, ForeignID: "1"}, {Topic: "parcels", ID: 2, ForeignID: "2"}})
		got := []string{<-received, <-received, <-received, <-received}
		slices.Sort(got)
		assert.Equal(t, []string{"1", "1", "2", "2"}, got)
	})
}
