package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/journal"
)

// openTest opens a streamer on a new file, and returns what closes it and opens
// the next one there.
func openTest(t *testing.T, opts ...Option) (s *Streamer, restart func() *Streamer) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "test.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	s, err = New(t.Context(), db, opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, s.Close())
		assert.NoError(t, db.Close())
	})
	return s, func() *Streamer {
		require.NoError(t, s.Close())
		s, err = New(t.Context(), db, opts...)
		require.NoError(t, err)
		return s
	}
}

// queued returns how many calls wait to be written.
func (s *Streamer) queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// together has calls written in one transaction, in that order.
func together(t *testing.T, s *Streamer, calls ...func() error) {
	t.Helper()
	s.turn <- struct{}{}
	errs := make(chan error, len(calls))
	for i, call := range calls {
		go func() { errs <- call() }()
		require.Eventually(t, func() bool { return s.queued() > i }, time.Minute, 10*time.Microsecond)
	}
	<-s.turn
	for range calls {
		require.NoError(t, <-errs)
	}
}

// sameAfterRestart sees that the next streamer has the cursors that s has.
func sameAfterRestart(t *testing.T, s *Streamer, restart func() *Streamer) {
	t.Helper()
	type cursor struct {
		name         string
		lag, ackedID int64
	}
	cursors := func(s *Streamer) (all []cursor) {
		for _, r := range s.Stats().Receivers {
			all = append(all, cursor{r.Name, r.Lag, r.AckedID})
		}
		return all
	}
	want := cursors(s)
	require.NotEmpty(t, want)
	assert.Equal(t, want, cursors(restart()))
}

// TestOrder has one transaction do several things to one name.
func TestOrder(t *testing.T) {
	for name, calls := range map[string]func(t *testing.T, s *Streamer, ack memstreamer.Ack, r memstreamer.EventReceiver) []func() error{
		"ack, and open again": func(t *testing.T, s *Streamer, ack memstreamer.Ack, _ memstreamer.EventReceiver) []func() error {
			return []func() error{
				ack,
				// A NewReceiver that found the name new, and comes late.
				func() error { return s.commit(t.Context(), &op{kind: opName, name: name{"orders", "name"}}) },
			}
		},
		"forget, and open again": func(t *testing.T, s *Streamer, ack memstreamer.Ack, r memstreamer.EventReceiver) []func() error {
			return []func() error{
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
		"open again, and a Forget that comes late": func(t *testing.T, s *Streamer, ack memstreamer.Ack, r memstreamer.EventReceiver) []func() error {
			return []func() error{
				ack,
				func() error {
					_ = r.Close()
					_ = s.memory.Forget(t.Context(), "orders", "name")
					_, err := s.NewReceiver(t.Context(), "orders", "name")
					return err
				},
				func() error { return s.commit(t.Context(), &op{kind: opName, name: name{"orders", "name"}}) },
			}
		},
		"ack, and forget another": func(t *testing.T, s *Streamer, ack memstreamer.Ack, _ memstreamer.EventReceiver) []func() error {
			other, err := s.NewReceiver(t.Context(), "orders", "other")
			require.NoError(t, err)
			require.NoError(t, other.Close())
			return []func() error{ack, func() error { return s.Forget(t.Context(), "orders", "other") }}
		},
		"open twice, and send": func(t *testing.T, s *Streamer, ack memstreamer.Ack, _ memstreamer.EventReceiver) []func() error {
			open := func() error {
				_, err := s.NewReceiver(t.Context(), "orders", "latest", memstreamer.StreamFromLatest())
				return err
			}
			return []func() error{open, func() error { return sendOne(t.Context(), s) }, ack, open}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, restart := openTest(t)
			for range 3 {
				require.NoError(t, sendOne(t.Context(), s))
			}
			r, err := s.NewReceiver(t.Context(), "orders", "name")
			require.NoError(t, err)
			for range 2 {
				_, ack, err := r.Recv(t.Context())
				require.NoError(t, err)
				require.NoError(t, ack())
			}
			_, ack, err := r.Recv(t.Context())
			require.NoError(t, err)
			together(t, s, calls(t, s, ack, r)...)
			sameAfterRestart(t, s, restart)
		})
	}
}

func sendOne(ctx context.Context, s *Streamer) error {
	snd, err := s.NewSender(ctx, "orders")
	if err != nil {
		return err
	}
	defer snd.Close()
	return snd.Send(ctx, "order-1001", 1, nil)
}

// TestNamesAreFreed has many names come and go.
func TestNamesAreFreed(t *testing.T) {
	s, restart := openTest(t)
	for i := range 100 {
		name := fmt.Sprint(i)
		r, err := s.NewReceiver(t.Context(), "orders", name)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.NoError(t, s.Forget(t.Context(), "orders", name))
	}
	assert.Empty(t, s.names)
	assert.Empty(t, restart().names)
}

// TestLeaderGivesUp ends the context of the call that waits for the connection,
// for others too: one of them waits on.
func TestLeaderGivesUp(t *testing.T) {
	s, _ := openTest(t)
	conn, err := s.db.Conn(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	led, followed := make(chan error), make(chan error)
	go func() { led <- sendOne(ctx, s) }()
	require.Eventually(t, func() bool { return s.db.Stats().WaitCount > 0 }, time.Minute, 10*time.Microsecond)
	go func() { followed <- sendOne(t.Context(), s) }()
	require.Eventually(t, func() bool { return s.queued() == 2 }, time.Minute, 10*time.Microsecond)
	cancel()
	require.ErrorIs(t, <-led, context.Canceled)
	require.NoError(t, conn.Close())
	require.NoError(t, <-followed)
	assert.EqualValues(t, 1, s.Stats().Topics[0].Retained)
}

// stepClock is a clock that a test sets.
type stepClock struct{ nanos atomic.Int64 }

func (c *stepClock) Now() time.Time { return time.Unix(0, c.nanos.Load()) }

// TestExpiredNamesAreFreed has names be forgotten for their age.
func TestExpiredNamesAreFreed(t *testing.T) {
	c := new(stepClock)
	s, restart := openTest(t, WithClock(c), WithRetention(time.Minute))
	for i := range 10 {
		r, err := s.NewReceiver(t.Context(), "orders", fmt.Sprint(i))
		require.NoError(t, err)
		require.NoError(t, r.Close())
	}
	require.Len(t, s.names, 10)
	c.nanos.Add(int64(time.Hour))
	for range 2 { // memory forgets them after the first was written
		require.NoError(t, sendOne(t.Context(), s))
		c.nanos.Add(int64(time.Minute))
	}
	assert.Empty(t, s.names)
	assert.Empty(t, restart().names)
}

// clockFunc is a clock that calls back.
type clockFunc func()

func (f clockFunc) Now() time.Time {
	f()
	return time.Now()
}

// TestClockIsCalledWithoutLock has a NewReceiver fail once memory has the name,
// which it then forgets, with a clock that takes the streamer's lock.
func TestClockIsCalledWithoutLock(t *testing.T) {
	s := new(Streamer) // until there is one
	s, _ = openTest(t, WithRetention(time.Minute), WithClock(clockFunc(func() {
		if assert.True(t, s.mu.TryLock(), "it is called with the lock held") {
			s.mu.Unlock()
		}
	})))
	s.close() // as Close does first
	_, err := s.NewReceiver(t.Context(), "orders", "name")
	require.ErrorIs(t, err, memstreamer.ErrClosed)
	assert.Empty(t, s.Stats().Receivers)
}

// TestAckAfterCloseLeavesSends has a Send wait that Close has come before: the Ack
// that leads does not write it.
func TestAckAfterCloseLeavesSends(t *testing.T) {
	s, restart := openTest(t)
	require.NoError(t, sendOne(t.Context(), s))
	r, err := s.NewReceiver(t.Context(), "orders", "name")
	require.NoError(t, err)
	_, ack, err := r.Recv(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Close())
	s.queue = append(s.queue, &op{kind: opSend, event: journal.Event{Topic: "orders"}, done: make(chan struct{})})
	require.NoError(t, ack())
	assert.Equal(t, 1, s.queued())
	assert.EqualValues(t, 1, restart().Stats().Topics[0].Retained)
}
