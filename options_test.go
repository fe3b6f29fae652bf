package memstreamer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// foreignIDs receives and acks n events.
func foreignIDs(t *testing.T, r memstreamer.EventReceiver, n int) (ids []string) {
	t.Helper()
	for range n {
		ids = append(ids, recv(t, r).ForeignID)
	}
	requireNothing(t, r)
	return ids
}

func TestStreamFromLast(t *testing.T) {
	for name, retention := range map[string]time.Duration{"without retention": 0, "with retention": time.Hour} {
		t.Run(name, func(t *testing.T) {
			clock := newSteppedClock()
			s := memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(retention))
			sender := newSender(t, s, "orders")
			for _, foreignID := range []string{"3 minutes", "2 minutes", "1 minute"} {
				send(t, sender, foreignID)
				clock.Step(time.Minute)
			}
			last := func(d time.Duration, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
				return newReceiver(t, s, "orders", d.String(), append(opts, memstreamer.StreamFromLast(d))...)
			}
			require.Equal(t, []string{"2 minutes", "1 minute"}, foreignIDs(t, last(2*time.Minute), 2), "not older than d")
			require.Equal(t, []string{"1 minute"}, foreignIDs(t, last(2*time.Minute-1), 1))
			require.Empty(t, foreignIDs(t, last(time.Second), 0))
			require.Len(t, foreignIDs(t, last(1<<62), 3), 3)
			require.Empty(t, foreignIDs(t, last(time.Hour, memstreamer.StreamFromLatest()), 0), "StreamFromLatest starts later")

			// A consumer that has a position resumes there.
			r := last(time.Minute)
			require.NoError(t, r.Close())
			clock.Step(10 * time.Minute)
			require.Equal(t, []string{"1 minute"}, foreignIDs(t, last(time.Minute), 1))
			require.NoError(t, s.CheckInvariants())
		})
	}
}

// With retention, StreamFromLast finds nothing that is past the period.
func TestStreamFromLastWithinTheRetention(t *testing.T) {
	s, clock := newRetaining()
	newReceiver(t, s, "orders", "holds all")
	sender := newSender(t, s, "orders")
	send(t, sender, "old")
	clock.Step(time.Hour + 1)
	send(t, sender, "young")
	r := newReceiver(t, s, "orders", "step", memstreamer.StreamFromLast(24*time.Hour))
	require.Equal(t, []string{"young"}, foreignIDs(t, r, 1))
}

func TestEphemeral(t *testing.T) {
	s := memstreamer.New()
	sender := newSender(t, s, "orders")
	send(t, sender, "1")
	lasting := newReceiver(t, s, "orders", "step")
	one := newReceiver(t, s, "orders", "step", memstreamer.Ephemeral())
	two := newReceiver(t, s, "orders", "step", memstreamer.Ephemeral(), memstreamer.StreamFromLatest())
	require.NoError(t, s.CheckInvariants())
	send(t, sender, "2")

	require.Equal(t, []string{"1", "2"}, foreignIDs(t, one, 2))
	require.Equal(t, []string{"2"}, foreignIDs(t, two, 1))
	require.Equal(t, "1", recv(t, lasting).ForeignID)

	rows := s.Stats().Receivers
	require.Len(t, rows, 3)
	ephemeral := 0
	for _, row := range rows {
		require.Equal(t, "step", row.Name)
		require.Equal(t, 1, row.Open)
		if row.Ephemeral {
			ephemeral++
			require.Zero(t, row.Lag)
		} else {
			require.EqualValues(t, 1, row.Lag)
		}
	}
	require.Equal(t, 2, ephemeral)

	require.Error(t, s.Forget(t.Context(), "orders", "step"), "while the lasting receiver is open")
	require.NoError(t, lasting.Close())
	require.NoError(t, s.Forget(t.Context(), "orders", "step"))
	require.Len(t, s.Stats().Receivers, 2, "the ephemeral receivers are not concerned")
	require.NoError(t, one.Close())
	require.NoError(t, one.Close())
	require.NoError(t, two.Close())
	require.Empty(t, s.Stats().Receivers)
	require.NoError(t, s.CheckInvariants())
	require.Len(t, foreignIDs(t, newReceiver(t, s, "orders", "step", memstreamer.Ephemeral()), 2), 2, "one of that name starts anew")
}

// Closing an ephemeral receiver frees what it held, and its Ack then changes
// nothing for whoever comes after it.
func TestEphemeralHoldsWhileItIsOpen(t *testing.T) {
	s, clock := newRetaining()
	sender := newSender(t, s, "orders")
	send(t, sender, "7")
	r := newReceiver(t, s, "orders", "step", memstreamer.Ephemeral())
	_, ack, err := r.Recv(t.Context())
	require.NoError(t, err)
	clock.Step(24 * time.Hour)
	s.Stats()
	require.Equal(t, 1, s.Retained("orders"))
	require.NoError(t, r.Close())
	require.NoError(t, s.CheckInvariants())
	s.Stats()
	require.Zero(t, s.Retained("orders"))

	send(t, sender, "8")
	next := newReceiver(t, s, "orders", "step")
	require.NoError(t, ack())
	require.Equal(t, "8", recv(t, next).ForeignID)
}

// The last ephemeral receiver takes its topic with it, and wakes its own Recv.
func TestEphemeralOnATopicOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstreamer.New()
		r := newReceiver(t, s, "orders", "step", memstreamer.Ephemeral())
		got := make(chan error)
		go func() {
			_, _, err := r.Recv(t.Context())
			got <- err
		}()
		synctest.Wait()
		require.NoError(t, r.Close())
		require.ErrorIs(t, <-got, memstreamer.ErrClosed)
		require.False(t, s.HasTopic("orders"))
		require.NoError(t, s.CheckInvariants())
	})
}
