package sqlite

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const ackDelay = time.Second

// afterKill opens a streamer on what the database of s has now, which is what a process
// that was killed leaves.
func afterKill(t *testing.T, s *Streamer) *Streamer {
	t.Helper()
	file := tempFile(t)
	_, err := s.db.Exec(`VACUUM INTO ?`, file)
	require.NoError(t, err)
	return open(t, openFile(t, file, 1))
}

// openDelayed opens a streamer that delays acks, with three events in "orders", and
// counts its commits.
func openDelayed(t *testing.T, opts ...Option) (*Streamer, *faults, *atomic.Int64) {
	t.Helper()
	s, faults := openFaulty(t, append(opts, WithAckDelay(ackDelay))...)
	sendAs(t, s, "orders", "a", "b", "c")
	commits := new(atomic.Int64)
	faults.set(counts(commits))
	return s, faults, commits
}

// syncBuffer is what a logger writes to on other goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// counts counts commits.
func counts(commits *atomic.Int64) fault {
	return when("after COMMIT", math.MaxInt64, func() error {
		commits.Add(1)
		return nil
	})
}

// TestAckDelay acks, and has nobody write for the delay.
func TestAckDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, commits := openDelayed(t)
		r, another := newReceiver(t, s, "orders", "name"), newReceiver(t, s, "orders", "name")
		commits.Store(0)
		take(t, r, "a")
		take(t, another, "b")
		stats := s.Stats().Receivers[0]
		require.EqualValues(t, 2, stats.AckedID)
		require.EqualValues(t, 1, stats.Lag)
		time.Sleep(ackDelay - 1)
		synctest.Wait()
		require.Zero(t, commits.Load())
		take(t, newReceiver(t, afterKill(t, s), "orders", "name"), "a")

		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.EqualValues(t, 1, commits.Load())
		take(t, newReceiver(t, afterKill(t, s), "orders", "name"), "c")
		time.Sleep(time.Hour)
		synctest.Wait()
		require.EqualValues(t, 1, commits.Load(), "nothing is pending")
		take(t, r, "c")
		time.Sleep(ackDelay)
		synctest.Wait()
		require.EqualValues(t, 2, commits.Load())
	})
}

// TestAckRidesAlong acks, and then writes something else.
func TestAckRidesAlong(t *testing.T) {
	for name, write := range map[string]func(s *Streamer) error{
		"Send":        func(s *Streamer) error { return sendOne(context.Background(), s) },
		"NewReceiver": func(s *Streamer) error { _, err := s.NewReceiver(context.Background(), "orders", "new"); return err },
		"Forget":      func(s *Streamer) error { return s.Forget(context.Background(), "orders", "idle") },
		"InTx":        func(s *Streamer) error { return s.InTx(context.Background(), func(*Tx) error { return nil }) },
		"Close":       (*Streamer).Close,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _, commits := openDelayed(t)
				r := newReceiver(t, s, "orders", "name")
				require.NoError(t, openOne(s))
				require.NoError(t, newReceiver(t, s, "orders", "idle").Close())
				commits.Store(0)
				take(t, r, "a", "b")
				require.NoError(t, write(s))
				require.EqualValues(t, 1, commits.Load())
				take(t, newReceiver(t, afterKill(t, s), "orders", "name"), "c")
				time.Sleep(time.Hour)
				synctest.Wait()
				require.EqualValues(t, 1, commits.Load(), "nothing is pending")
			})
		})
	}
}

// TestAckDelayFails has the database fail for as long as the delay: the acks are written
// once it does not.
func TestAckDelayFails(t *testing.T) {
	for name, faulty := range map[string][]fault{
		"BEGIN":                      {when("before BEGIN", 1, fails)},
		"the ack":                    {when("before UPDATE memstreamer_cursors", 2, fails)},
		"COMMIT that did not happen": {when("before COMMIT", 1, fails)},
		"COMMIT, not looked up":      {when("before COMMIT", 1, fails), when("before SELECT coalesce((SELECT position", 1, fails)},
		"COMMIT that did happen":     {when("after COMMIT", 1, fails), when("before SELECT coalesce((SELECT position", 1, fails)},
		"a panic":                    {when("before UPDATE memstreamer_cursors", 1, panics)},
		"a panic of COMMIT":          {when("before COMMIT", 1, panics)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log syncBuffer
				s, faults, _ := openDelayed(t, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
				r := newReceiver(t, s, "orders", "name")
				take(t, r, "a", "b")
				faults.set(faulty...)
				time.Sleep(ackDelay)
				synctest.Wait()
				require.Contains(t, log.String(), "acks could not be written")
				time.Sleep(ackDelay)
				synctest.Wait()
				take(t, newReceiver(t, afterKill(t, s), "orders", "name"), "c")
				take(t, r, "c")
			})
		})
	}
}

// TestAckDelayBesideAFailure has the transaction fail that acks ride along with.
func TestAckDelayBesideAFailure(t *testing.T) {
	for name, faulty := range map[string][]fault{
		"its own":   {when("before INSERT INTO memstreamer_events", 2, fails)},
		"the acks'": {when("before UPDATE memstreamer_cursors", 1, fails)},
		"COMMIT":    {when("before COMMIT", 1, fails)},
		"a panic":   {when("before COMMIT", 1, panics)},
	} {
		t.Run(name, func(t *testing.T) {
			s, faults, _ := openDelayed(t)
			take(t, newReceiver(t, s, "orders", "name"), "a", "b")
			faults.set(faulty...)
			func() {
				defer func() { _ = recover() }()
				_ = sendOne(t.Context(), s)
			}()
			require.NoError(t, s.Close())
			take(t, newReceiver(t, open(t, s.db), "orders", "name"), "c")
		})
	}
}

// TestAckDelayAgain has acks be written again that were committed, beside a row: that they
// are there does not tell of the row.
func TestAckDelayAgain(t *testing.T) {
	s, faults, _ := openDelayed(t)
	createRows(t, s.db)
	take(t, newReceiver(t, s, "orders", "name"), "a")
	faults.set(when("after COMMIT", 1, fails), when("before SELECT", 1, fails))
	require.ErrorContains(t, sendOne(t.Context(), s), "outcome of a COMMIT is unknown")
	faults.set(when("before COMMIT", 1, fails))
	require.ErrorIs(t, s.InTx(t.Context(), func(tx *Tx) error { return insert(tx, 1) }), errInjected)
	require.Empty(t, appRows(t, s.db))
}

// TestAckDelayMeanwhile acks the next event while the ack before it is in a transaction
// that fails.
func TestAckDelayMeanwhile(t *testing.T) {
	s, faults, _ := openDelayed(t)
	r := newReceiver(t, s, "orders", "name")
	take(t, r, "a")
	fault, committing, goOn := pauses()
	faults.set(when("before COMMIT", 1, fault), when("before COMMIT", 1, fails))
	sent := make(chan error, 1)
	go func() { sent <- sendOne(context.Background(), s) }()
	<-committing
	take(t, r, "b")
	close(goOn)
	require.ErrorIs(t, <-sent, errInjected)
	take(t, newReceiver(t, reopen(t, s), "orders", "name"), "c")
}

// TestAckDelayAsItCloses closes the streamer while acks are in a transaction that fails.
func TestAckDelayAsItCloses(t *testing.T) {
	s, faults, _ := openDelayed(t)
	take(t, newReceiver(t, s, "orders", "name"), "a", "b")
	fault, committing, goOn := pauses()
	faults.set(when("before COMMIT", 1, fault), when("before COMMIT", 1, fails))
	sent, closed := make(chan error, 1), make(chan error, 1)
	go func() { sent <- sendOne(context.Background(), s) }()
	<-committing
	go func() { closed <- s.Close() }()
	<-s.closing.Done()
	time.Sleep(10 * time.Millisecond) // by then it waits
	close(goOn)
	require.ErrorIs(t, <-sent, errInjected)
	require.NoError(t, <-closed)
	take(t, newReceiver(t, open(t, s.db), "orders", "name"), "c")
}

// TestFlushAsItCloses has the timer fire when Close has begun: it leaves Close the lock.
func TestFlushAsItCloses(t *testing.T) {
	s, _, _ := openDelayed(t)
	s.close() // as Close does first
	for range 20 {
		s.flushAcks()
	}
	_, err := New(t.Context(), s.db)
	require.ErrorIs(t, err, ErrInUse)
}

// TestCloseWithoutAcks has the database fail when Close writes acks, and is late for it.
func TestCloseWithoutAcks(t *testing.T) {
	s, faults, _ := openDelayed(t, WithAckTimeout(20*time.Millisecond))
	take(t, newReceiver(t, s, "orders", "name"), "a")
	faults.set(when("before BEGIN", 1, fails))
	require.ErrorIs(t, s.Close(), errInjected)
	s = open(t, s.db, WithAckDelay(ackDelay), WithAckTimeout(20*time.Millisecond))
	take(t, newReceiver(t, s, "orders", "name"), "a")
	release := hold(t, s.db)
	require.ErrorIs(t, s.Close(), context.DeadlineExceeded)
	release()
	take(t, newReceiver(t, open(t, s.db), "orders", "name"), "a")
}

// TestAckDelayAfterClose acks after Close, when nothing would write it later.
func TestAckDelayAfterClose(t *testing.T) {
	s, _, _ := openDelayed(t)
	_, ack := recv(t, newReceiver(t, s, "orders", "name"))
	require.NoError(t, s.Close())
	require.NoError(t, ack())
	take(t, newReceiver(t, open(t, s.db), "orders", "name"), "b")
}

// TestAckDelayAndForget forgets a consumer whose ack is pending, and makes it again.
func TestAckDelayAndForget(t *testing.T) {
	for _, again := range []bool{false, true} {
		s, faults, _ := openDelayed(t)
		r := newReceiver(t, s, "orders", "name")
		take(t, r, "a", "b")
		require.NoError(t, r.Close())
		faults.set(when("after COMMIT", 1, fails)) // it is looked up
		require.NoError(t, s.memory.Forget(t.Context(), "orders", "name"))
		if again {
			take(t, newReceiver(t, s, "orders", "name"), "a")
		}
		require.NoError(t, sendOne(t.Context(), s))
		left := []string{"a", "b"}
		if again {
			left = left[1:]
		}
		take(t, newReceiver(t, reopen(t, s), "orders", "name"), left...)
	}
}

// TestAckDelayAndTx acks by a Tx what is acked already, and what comes after it.
func TestAckDelayAndTx(t *testing.T) {
	s, _, _ := openDelayed(t)
	r := newReceiver(t, s, "orders", "name")
	take(t, r, "a")
	ack := func(id int64) error {
		return s.InTx(t.Context(), func(tx *Tx) error { return tx.Ack("orders", "name", id) })
	}
	require.ErrorIs(t, ack(1), ErrAcked)
	require.NoError(t, ack(2))
	require.ErrorIs(t, ack(2), ErrAcked)
	take(t, r, "c")
	empty(t, newReceiver(t, reopen(t, s), "orders", "name"))
}

// TestAckDelayAndRetention has memory drop an event that only a pending ack has released.
func TestAckDelayAndRetention(t *testing.T) {
	c := new(clock)
	s, _, _ := openDelayed(t, WithClock(c), WithRetention(time.Minute))
	r := newReceiver(t, s, "orders", "name")
	c.add(time.Minute + 1)
	take(t, r, "a", "b")
	sendAs(t, s, "parcels", "p")
	require.Equal(t, 2, rows(t, s, "events"))
	take(t, newReceiver(t, afterKill(t, s), "orders", "name"), "c")
}
