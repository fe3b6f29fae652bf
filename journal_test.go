package memstreamer_test

import (
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// journaled is an event with its topic.
type journaled struct {
	topic string
	memstreamer.Event
}

// events yields one *Event again and again, as a journal may that reads rows.
func events(of ...journaled) iter.Seq2[string, *memstreamer.Event] {
	return func(yield func(string, *memstreamer.Event) bool) {
		e := new(memstreamer.Event)
		for _, j := range of {
			*e = j.Event
			if !yield(j.topic, e) {
				return
			}
		}
	}
}

func consumer(topic, name string, life, after, ackedID int64) memstreamer.Consumer {
	return memstreamer.Consumer{Topic: topic, Name: name, Life: life, After: after, AckedID: ackedID}
}

// TestJournalLoads loads events with gaps between their IDs, all of them older
// than the retention.
func TestJournalLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstreamer.New(memstreamer.WithRetention(time.Hour))
		j := s.Journal()
		old := time.Now().Add(-24 * time.Hour)
		headers := map[memstreamer.Header]string{"run_id": "1", "other": "2"}
		j.Load(events(
			journaled{"orders", memstreamer.Event{ID: 3, CreatedAt: old, ForeignID: "a", Type: -1}},
			journaled{"orders", memstreamer.Event{ID: 7, CreatedAt: old, ForeignID: "b", Headers: map[memstreamer.Header]string{}}},
			journaled{"parcels", memstreamer.Event{ID: 8, CreatedAt: old, ForeignID: "c", Headers: headers}},
			journaled{"orders", memstreamer.Event{ID: 9, CreatedAt: old, ForeignID: "d"}},
		), []memstreamer.Consumer{
			consumer("orders", "gone", 1, 5, 5),
			consumer("orders", "last", 2, 7, 7),
			consumer("orders", "done", 3, 12, 0),
			consumer("parcels", "new", 4, 0, 0),
		}, 11)
		clear(headers)

		r := newReceiver(t, s, "orders", "gone")
		for _, want := range []memstreamer.Event{
			{ID: 7, CreatedAt: time.Unix(0, old.UnixNano()), ForeignID: "b", Headers: map[memstreamer.Header]string{}},
			{ID: 9, CreatedAt: time.Unix(0, old.UnixNano()), ForeignID: "d"},
		} {
			require.Equal(t, want, *recv(t, r))
		}
		e, _, err := newReceiver(t, s, "orders", "last").Recv(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 9, e.ID, "of the event after the one that it has acked")
		parcels := newReceiver(t, s, "parcels", "new")
		e, _, err = parcels.Recv(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[memstreamer.Header]string{"run_id": "1", "other": "2"}, e.Headers)

		for _, want := range []memstreamer.Consumer{
			consumer("orders", "gone", 1, 11, 9),
			consumer("orders", "done", 3, 11, 0),
			consumer("parcels", "new", 4, 7, 0),
		} {
			got, ok := j.Consumer(want.Topic, want.Name, memstreamer.ReceiverOptions{})
			require.True(t, ok)
			require.Equal(t, want, got)
		}

		// They count as closed since then, and hold until they are forgotten what
		// they have not acked: event 8 is only held by a consumer.
		require.Equal(t, []memstreamer.TopicStats{
			{Topic: "orders", Retained: 1, FirstID: 9, LastID: 9, Sent: 3},
			{Topic: "parcels", Retained: 1, FirstID: 8, LastID: 8, Sent: 1},
		}, s.Stats().Topics)
		dropped, gone := j.Sweep(100)
		require.Equal(t, []int64{3, 7}, dropped, "event 9 is held by last alone")
		require.Empty(t, gone)
		require.NoError(t, parcels.Close())
		time.Sleep(time.Hour)
		require.Len(t, s.Stats().Receivers, 4)
		time.Sleep(time.Nanosecond)
		require.Len(t, s.Stats().Receivers, 2, "those with open receivers")
		require.NoError(t, s.CheckInvariants())
	})
}

// An ID that the journal gives is greater than the last of both.
func TestJournalLoadsTheLastID(t *testing.T) {
	for _, lastID := range []int64{3, 7} {
		s := memstreamer.New()
		s.Journal().Load(events(journaled{"orders", memstreamer.Event{ID: 10 - lastID}}), nil, lastID)
		send(t, newSender(t, s, "orders"), "next")
		require.EqualValues(t, 8, s.Stats().Topics[0].LastID)
	}
}

// TestJournalLoadsPositions loads consumers at, before and behind an event's ID.
func TestJournalLoadsPositions(t *testing.T) {
	s := memstreamer.New()
	s.Journal().Load(events(
		journaled{"orders", memstreamer.Event{ID: 3, ForeignID: "a"}},
		journaled{"orders", memstreamer.Event{ID: 7, ForeignID: "b"}},
	), []memstreamer.Consumer{
		consumer("orders", "at", 1, 3, 3),
		consumer("orders", "before", 2, 2, 0),
		consumer("orders", "behind", 3, 4, 0),
	}, 7)
	require.EqualValues(t, 3, s.Stats().Receivers[0].AckedID)
	for name, want := range map[string]string{"before": "a", "at": "b", "behind": "b"} {
		require.Equal(t, want, recv(t, newReceiver(t, s, "orders", name)).ForeignID, name)
	}
}

// A loaded consumer counts as closed from the load on.
func TestJournalForgetsLoaded(t *testing.T) {
	s, clock := newRetaining()
	clock.Step(10 * time.Hour)
	j := s.Journal()
	gone := consumer("orders", "gone", 5, 0, 0)
	j.Load(events(journaled{"orders", memstreamer.Event{ID: 1, CreatedAt: clock.Now()}}), []memstreamer.Consumer{gone}, 1)
	clock.Step(time.Hour)
	require.Len(t, s.Stats().Receivers, 1)
	clock.Step(1)
	dropped, consumers := j.Sweep(10)
	require.Equal(t, []memstreamer.Consumer{gone}, consumers)
	require.Equal(t, []int64{1}, dropped)
	require.NoError(t, s.CheckInvariants())
}

// An event that waited for its journal is as old as its CreatedAt says. Append drops
// nothing, and reads no clock.
func TestJournalAppends(t *testing.T) {
	s, clock := newRetaining()
	j := s.Journal()
	j.Append(events(journaled{"orders", memstreamer.Event{ID: 4, CreatedAt: clock.Now().Add(-30 * time.Minute)}}))
	clock.Step(30 * time.Minute)
	dropped, _ := j.Sweep(10)
	require.Empty(t, dropped)
	clock.Step(1)
	j.Append(events(journaled{"parcels", memstreamer.Event{ID: 6, CreatedAt: clock.Now()}}))
	require.True(t, s.HasTopic("orders"))
	dropped, _ = j.Sweep(10)
	require.Equal(t, []int64{4}, dropped)
	require.False(t, s.HasTopic("orders"))
	require.NoError(t, s.CheckInvariants())
	require.NoError(t, s.Close())
	j.Append(events(journaled{"parcels", memstreamer.Event{ID: 7, CreatedAt: clock.Now()}}))
	require.Equal(t, 2, s.Retained("parcels"), "what was committed has happened")
}

// TestJournalWakes appends to two topics at once, on each of which two receivers
// are parked.
func TestJournalWakes(t *testing.T) {
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
		s.Journal().Append(events(
			journaled{"orders", memstreamer.Event{ID: 1, ForeignID: "1"}},
			journaled{"parcels", memstreamer.Event{ID: 2, ForeignID: "2"}},
		))
		got := []string{<-received, <-received, <-received, <-received}
		slices.Sort(got)
		require.Equal(t, []string{"1", "1", "2", "2"}, got)
	})
}

// Consumer tells where a new consumer would start, by its options.
func TestJournalTellsWhereAConsumerStarts(t *testing.T) {
	s, clock := newRetaining()
	j := s.Journal()
	newReceiver(t, s, "orders", "holds all")
	for id := range int64(3) {
		j.Append(events(journaled{"orders", memstreamer.Event{ID: 10 * (id + 1), CreatedAt: clock.Now()}}))
		clock.Step(30 * time.Minute)
	}
	start := func(topic string, o memstreamer.ReceiverOptions) int64 {
		t.Helper()
		c, ok := j.Consumer(topic, "new", o)
		require.False(t, ok)
		require.Equal(t, consumer(topic, "new", 0, c.After, 0), c)
		return c.After
	}
	require.EqualValues(t, 19, start("orders", memstreamer.ReceiverOptions{}), "the first event is past the period")
	require.EqualValues(t, 29, start("orders", memstreamer.ReceiverOptions{StreamFromLast: 30 * time.Minute}))
	require.EqualValues(t, 30, start("orders", memstreamer.ReceiverOptions{StreamFromLatest: true}))
	require.EqualValues(t, 30, start("unknown", memstreamer.ReceiverOptions{}))
	require.False(t, s.HasTopic("unknown"))
	require.NoError(t, s.CheckInvariants())
}

// A consumer is opened where it was written, resumed while it lives, and each life of
// it told from the next.
func TestJournalOpens(t *testing.T) {
	s, clock := newRetaining()
	j := s.Journal()
	for id := range int64(3) {
		j.Append(events(journaled{"orders", memstreamer.Event{ID: 10 * (id + 1), CreatedAt: clock.Now()}}))
	}
	resumed, life, err := j.Resume("orders", "step", memstreamer.ReceiverOptions{})
	require.NoError(t, err)
	require.Nil(t, resumed)
	require.Zero(t, life)
	_, _, err = j.Resume("unknown", "step", memstreamer.ReceiverOptions{})
	require.NoError(t, err)
	require.False(t, s.HasTopic("unknown"))

	first, err := j.Open(consumer("orders", "step", 1, 10, 10))
	require.NoError(t, err)
	e, _, err := first.Recv(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 20, e.ID)
	again, err := j.Open(consumer("orders", "step", 1, 0, 0))
	require.NoError(t, err, "it is there")
	e, _, err = again.Recv(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 20, e.ID, "where it is")
	resumed, life, err = j.Resume("orders", "step", memstreamer.ReceiverOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, life)
	require.NoError(t, s.CheckInvariants())

	_, err = j.Open(consumer("orders", "step", 2, 0, 0))
	require.EqualError(t, err, `memstreamer: Open: a receiver of topic "orders" and name "step" is open, of life 1 and not 2`)
	for _, r := range []memstreamer.EventReceiver{first, again, resumed} {
		require.NoError(t, r.Close())
	}
	second, err := j.Open(consumer("orders", "step", 2, 0, 0))
	require.NoError(t, err)
	_, gone := j.Sweep(10)
	require.Equal(t, []memstreamer.Consumer{consumer("orders", "step", 1, 19, 10)}, gone)
	require.NoError(t, second.Close())

	// An expired consumer is not resumed, though nothing has swept it yet.
	clock.Step(time.Hour + 1)
	resumed, _, err = j.Resume("orders", "step", memstreamer.ReceiverOptions{})
	require.NoError(t, err)
	require.Nil(t, resumed)
	_, gone = j.Sweep(10)
	require.Equal(t, []memstreamer.Consumer{consumer("orders", "step", 2, 9, 0)}, gone)
	_, ok := j.Consumer("orders", "step", memstreamer.ReceiverOptions{})
	require.False(t, ok)

	require.NoError(t, s.Close())
	_, _, err = j.Resume("orders", "step", memstreamer.ReceiverOptions{})
	require.ErrorIs(t, err, memstreamer.ErrClosed)
	third, err := j.Open(consumer("orders", "step", 3, 0, 0))
	require.NoError(t, err, "what was committed has happened")
	_, _, err = third.Recv(t.Context())
	require.ErrorIs(t, err, memstreamer.ErrClosed)
	require.NoError(t, third.Close())
	require.NoError(t, s.CheckInvariants())
}

// Ack moves a position past an ID, whether that is the next, and never back.
func TestJournalAcks(t *testing.T) {
	s := memstreamer.New()
	j := s.Journal()
	for id := range int64(3) {
		j.Append(events(journaled{"orders", memstreamer.Event{ID: 10 * (id + 1)}}))
	}
	r, err := j.Open(consumer("orders", "step", 1, 0, 0))
	require.NoError(t, err)
	for _, step := range []struct{ ack, next, acked int64 }{{10, 20, 10}, {10, 20, 10}, {5, 20, 10}, {30, 0, 30}, {20, 0, 30}} {
		j.Ack("orders", "step", 1, step.ack)
		stats := s.Stats().Receivers[0]
		require.Equal(t, step.acked, stats.AckedID)
		if step.next > 0 {
			e, _, err := r.Recv(t.Context())
			require.NoError(t, err)
			require.Equal(t, step.next, e.ID)
		} else {
			require.Zero(t, stats.Lag)
		}
	}
	require.EqualValues(t, 3, s.Stats().Receivers[0].Acked)
	j.Ack("orders", "unknown", 1, 10)
	j.Ack("unknown", "step", 1, 10)

	// The ack of an earlier life.
	require.NoError(t, r.Close())
	_, err = j.Open(consumer("orders", "step", 2, 0, 0))
	require.NoError(t, err)
	j.Ack("orders", "step", 1, 20)
	require.EqualValues(t, 3, s.Stats().Receivers[0].Lag)
	require.NoError(t, s.CheckInvariants())
}

// A journal keeps the shard of a consumer, and after a restart the consumer passes over
// the events of others again.
func TestJournalKeepsShards(t *testing.T) {
	s, clock := newRetaining()
	j := s.Journal()
	shard := memstreamer.ReceiverOptions{ShardIndex: 1, ShardCount: 3}
	kept := func(life, after, ackedID int64) memstreamer.Consumer {
		c := consumer("orders", "step", life, after, ackedID)
		c.ShardIndex, c.ShardCount = 1, 3
		return c
	}
	var log []journaled
	for id := range int64(9) {
		log = append(log, journaled{"orders", memstreamer.Event{ID: id + 1, CreatedAt: clock.Now()}})
	}
	j.Load(events(log...), []memstreamer.Consumer{kept(1, 2, 1)}, 0)
	require.NoError(t, s.CheckInvariants())
	c, ok := j.Consumer("orders", "step", memstreamer.ReceiverOptions{})
	require.True(t, ok)
	require.Equal(t, kept(1, 3, 1), c)
	for _, o := range []memstreamer.ReceiverOptions{{}, {ShardIndex: 2, ShardCount: 3}} {
		r, _, err := j.Resume("orders", "step", o)
		require.Nil(t, r)
		require.ErrorIs(t, err, memstreamer.ErrShard)
	}
	r, life, err := j.Resume("orders", "step", shard)
	require.NoError(t, err)
	require.EqualValues(t, 1, life)
	require.EqualValues(t, 4, recv(t, r).ID)
	requireEvent := func(id int64) {
		t.Helper()
		e, _, err := r.Recv(t.Context())
		require.NoError(t, err)
		require.Equal(t, id, e.ID)
	}
	requireEvent(7)
	j.Ack("orders", "step", 1, 7)
	requireNothing(t, r)
	c, _ = j.Consumer("orders", "step", shard)
	require.Equal(t, kept(1, 9, 7), c, "past the others, up to the newest")
	j.Append(events(journaled{"orders", memstreamer.Event{ID: 10, CreatedAt: clock.Now()}}))
	requireEvent(10)
	require.NoError(t, r.Close())

	c, ok = j.Consumer("orders", "other", shard)
	require.False(t, ok)
	require.Equal(t, memstreamer.Consumer{Topic: "orders", Name: "other", ShardIndex: 1, ShardCount: 3}, c)
	r, err = j.Open(kept(2, 5, 4))
	require.NoError(t, err)
	requireEvent(7)
	require.NoError(t, s.CheckInvariants())
	require.NoError(t, r.Close())
	clock.Step(time.Hour + 1)
	_, consumers := j.Sweep(100)
	require.Equal(t, []memstreamer.Consumer{kept(1, 9, 7), kept(2, 6, 4)}, consumers)
	require.NoError(t, s.CheckInvariants())
}

// Sweep tells of what any call has dropped, in parts, and not of ephemeral
// receivers.
func TestJournalSweeps(t *testing.T) {
	s, clock := newRetaining()
	j := s.Journal()
	const n = 3 * memstreamer.SweepLimit
	for id := range int64(n) {
		j.Append(events(journaled{"orders", memstreamer.Event{ID: id + 1, CreatedAt: clock.Now()}}))
	}
	r := newReceiver(t, s, "orders", "step", memstreamer.Ephemeral())
	require.NoError(t, r.Close())
	forgotten, err := j.Open(consumer("orders", "step", 1, 0, 0))
	require.NoError(t, err)
	require.NoError(t, forgotten.Close())
	require.NoError(t, s.Forget(t.Context(), "orders", "step"))
	clock.Step(time.Hour + 1)

	dropped, consumers := j.Sweep(memstreamer.SweepLimit + 1)
	require.Len(t, dropped, memstreamer.SweepLimit+1)
	require.Equal(t, n-memstreamer.SweepLimit-1, s.Retained("orders"), "no more than the limit")
	require.Len(t, consumers, 1)
	s.Stats() // which drops the rest
	rest, consumers := j.Sweep(n)
	require.Len(t, rest, n-len(dropped))
	require.EqualValues(t, n, rest[len(rest)-1])
	require.Empty(t, consumers)
	dropped, _ = j.Sweep(n)
	require.Empty(t, dropped)
	dropped, _ = j.Sweep(-1)
	require.Empty(t, dropped)

	// A consumer that is opened again, in the life in which it expired.
	again := consumer("orders", "again", 2, 0, 0)
	r, err = j.Open(again)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	clock.Step(time.Hour + 1)
	require.Empty(t, s.Stats().Receivers)
	_, err = j.Open(again)
	require.NoError(t, err)
	_, consumers = j.Sweep(n)
	require.Empty(t, consumers)
}
