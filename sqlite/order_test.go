package sqlite

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// together has calls written in one transaction, in that order.
func together(t *testing.T, s *Streamer, calls ...func() error) {
	t.Helper()
	s.turn <- struct{}{}
	errs := start(t, s, calls...)
	<-s.turn
	for _, err := range errs {
		require.NoError(t, <-err)
	}
}

// TestOrder has one transaction do several things to one name: the next streamer
// has the cursors that this one has.
func TestOrder(t *testing.T) {
	type call = func() error
	for name, calls := range map[string]func(t *testing.T, s *Streamer, r memstreamer.EventReceiver, ack call) []call{
		"ack, and open again": func(t *testing.T, s *Streamer, r memstreamer.EventReceiver, ack call) []call {
			return []call{
				ack,
				// A NewReceiver that found the name new, and comes late.
				func() error { return s.commit(t.Context(), &op{kind: opReceiver, topic: "orders", name: "name"}) },
			}
		},
		"ack, and an Ack that comes late": func(t *testing.T, s *Streamer, r memstreamer.EventReceiver, ack call) []call {
			return []call{
				ack,
				func() error {
					return s.commit(t.Context(), &op{kind: opAck, topic: "orders", name: "name", life: r.(*receiver).life, id: 2})
				},
			}
		},
		"forget, and open again": func(t *testing.T, s *Streamer, r memstreamer.EventReceiver, ack call) []call {
			return []call{
				ack,
				func() error {
					_ = r.Close()
					return s.Forget(t.Context(), "orders", "name")
				},
				func() error {
					_, err := s.NewReceiver(t.Context(), "orders", "name")
					return err
				},
			}
		},
		"open again, and a Forget that comes late": func(t *testing.T, s *Streamer, r memstreamer.EventReceiver, ack call) []call {
			return []call{
				ack,
				func() error {
					_ = r.Close()
					_ = s.memory.Forget(t.Context(), "orders", "name")
					_, err := s.NewReceiver(t.Context(), "orders", "name")
					return err
				},
				func() error { return s.commit(t.Context(), &op{kind: opForget, topic: "orders", name: "name"}) },
			}
		},
		"make anew, and an Ack of the life before that comes late": func(t *testing.T, s *Streamer, r memstreamer.EventReceiver, ack call) []call {
			return []call{
				func() error {
					_ = r.Close()
					_ = s.memory.Forget(t.Context(), "orders", "name")
					_, err := s.NewReceiver(t.Context(), "orders", "name")
					return err
				},
				func() error {
					return s.commit(t.Context(), &op{kind: opAck, topic: "orders", name: "name", life: r.(*receiver).life, id: 3})
				},
			}
		},
		"ack, and forget another": func(t *testing.T, s *Streamer, r memstreamer.EventReceiver, ack call) []call {
			require.NoError(t, newReceiver(t, s, "orders", "other").Close())
			return []call{ack, func() error { return s.Forget(t.Context(), "orders", "other") }}
		},
		"open twice, and send": func(t *testing.T, s *Streamer, r memstreamer.EventReceiver, ack call) []call {
			open := func() error {
				_, err := s.NewReceiver(t.Context(), "orders", "latest", memstreamer.StreamFromLatest())
				return err
			}
			return []call{open, func() error { return sendOne(t.Context(), s) }, ack, open}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, tempDB(t))
			sendAs(t, s, "orders", "a", "b", "c")
			r := newReceiver(t, s, "orders", "name")
			take(t, r, "a", "b")
			_, ack := recv(t, r)
			together(t, s, calls(t, s, r, ack)...)
			want := kept(s)
			assert.Equal(t, want, kept(reopen(t, s)))
		})
	}
}

// TestForgottenRowsAreDeleted has many consumers come and go.
func TestForgottenRowsAreDeleted(t *testing.T) {
	s := open(t, tempDB(t))
	for i := range 100 {
		name := fmt.Sprint(i)
		require.NoError(t, newReceiver(t, s, "orders", name).Close())
		require.NoError(t, s.Forget(t.Context(), "orders", name))
		require.Zero(t, rows(t, s, "cursors"))
	}
}

// TestExpiredRowsAreDeleted has consumers be forgotten for their age: those that were
// made, and those that were loaded.
func TestExpiredRowsAreDeleted(t *testing.T) {
	c := new(clock)
	opts := []Option{WithClock(c), WithRetention(time.Minute)}
	s := open(t, tempDB(t), opts...)
	for _, reopened := range []bool{false, true} {
		for i := range 10 {
			require.NoError(t, newReceiver(t, s, "orders", fmt.Sprint(i)).Close())
		}
		if reopened {
			s = reopen(t, s, opts...)
		}
		require.Equal(t, 10, rows(t, s, "cursors"))
		c.add(time.Minute + 1)
		sendAs(t, s, "parcels", "x")
		require.Zero(t, rows(t, s, "cursors"))
	}
}

// TestClockIsCalledWithoutLock has a clock that takes the streamer's lock.
func TestClockIsCalledWithoutLock(t *testing.T) {
	s := new(Streamer) // until there is one
	s = open(t, tempDB(t), WithRetention(time.Minute), WithClock(clockFunc(func() time.Time {
		if assert.True(t, s.mu.TryLock(), "it is called with the lock held") {
			s.mu.Unlock()
		}
		return time.Now()
	})))
	sendAs(t, s, "orders", "a", "b")
	r := newReceiver(t, s, "orders", "name")
	take(t, r, "a", "b")
	require.NoError(t, r.Close())
	require.NoError(t, s.Forget(t.Context(), "orders", "name"))
}

// TestAckAfterCloseLeavesSends has a Send wait that Close has come before: the Ack
// that leads does not write it.
func TestAckAfterCloseLeavesSends(t *testing.T) {
	s := open(t, tempDB(t))
	sendAs(t, s, "orders", "a")
	_, ack := recv(t, newReceiver(t, s, "orders", "name"))
	require.NoError(t, s.Close())
	s.queue = append(s.queue, &op{kind: opSend, topic: "orders", done: make(chan struct{})})
	require.NoError(t, ack())
	assert.Equal(t, 1, s.waiting())
	holds(t, reopen(t, s), "a")
}
