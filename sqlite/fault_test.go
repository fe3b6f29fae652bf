package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	modernc "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
)

var errInjected = errors.New("disk I/O error (injected)")

// faults is a driver that goes wrong. Each of its faults is asked "before" and
// "after" a statement, such as "before COMMIT", and may fail it or panic.
type faults struct {
	file string
	all  atomic.Pointer[[]fault]
}

type fault func(at string) error

// set replaces the faults.
func (f *faults) set(all ...fault) { f.all.Store(&all) }

func (f *faults) ask(at string) (err error) {
	for _, fault := range *f.all.Load() {
		err = errors.Join(err, fault(at))
	}
	return err
}

func (f *faults) Driver() driver.Driver { return &modernc.Driver{} }

func (f *faults) Connect(context.Context) (driver.Conn, error) {
	c, err := f.Driver().Open(dsn(f.file))
	return &faultyConn{c, f}, err
}

type faultyConn struct {
	driver.Conn
	faults *faults
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.faults.ask("before " + query); err != nil {
		return nil, err
	}
	result, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
	if err == nil {
		err = c.faults.ask("after " + query)
	}
	return result, err
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.faults.ask("before " + query); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

// openFaulty opens a streamer on a database that can be made to go wrong.
func openFaulty(t testing.TB, opts ...Option) (*Streamer, *faults) {
	t.Helper()
	f := &faults{file: tempFile(t)}
	f.set()
	db := sql.OpenDB(f)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return open(t, db, opts...), f
}

// when returns a fault of what begins with at: the first n times.
func when(at string, n int64, fault func() error) fault {
	var seen atomic.Int64
	return func(now string) error {
		if strings.HasPrefix(now, at) && seen.Add(1) <= n {
			return fault()
		}
		return nil
	}
}

// skip returns fault without what it is asked the first n times that it would fail.
func skip(n int, fault fault) fault {
	return func(now string) error {
		err := fault(now)
		if err == nil || n == 0 {
			return err
		}
		n--
		return nil
	}
}

func fails() error  { return errInjected }
func locked() error { return errors.New("database is locked") }
func panics() error { panic("driver") }

// pauses returns a fault that says it was reached, and waits.
func pauses() (fault func() error, reached, goOn chan struct{}) {
	reached, goOn = make(chan struct{}), make(chan struct{})
	return func() error {
		close(reached)
		<-goOn
		return nil
	}, reached, goOn
}

// TestFailures has a statement of a Send fail, and looks for the event in the
// streamer and, after a restart, in the database.
func TestFailures(t *testing.T) {
	for name, test := range map[string]struct {
		faults []fault
		sent   bool // the Send succeeds
		kept   bool // its event is there
	}{
		"no fault":                    {nil, true, true},
		"BEGIN":                       {[]fault{when("before BEGIN", 1, fails)}, false, false},
		"INSERT, before":              {[]fault{when("before INSERT", 1, fails)}, true, true},
		"INSERT, before, again":       {[]fault{when("before INSERT", 2, fails)}, false, false},
		"INSERT, after":               {[]fault{when("after INSERT", 2, fails)}, false, false},
		"COMMIT that did not happen":  {[]fault{when("before COMMIT", 1, fails)}, false, false},
		"COMMIT that did happen":      {[]fault{when("after COMMIT", 1, fails)}, true, true},
		"COMMIT that another was at":  {[]fault{when("before COMMIT", 5, locked)}, true, true},
		"COMMIT, and nothing is read": {[]fault{when("after COMMIT", 1, fails), when("before SELECT", 1, fails)}, false, true},
		"COMMIT and ROLLBACK":         {[]fault{when("before COMMIT", 1, fails), when("before ROLLBACK", 1, fails)}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, faults := openFaulty(t)
			snd := newSender(t, s, "orders")
			require.NoError(t, snd.Send(t.Context(), "before", 1, nil))

			faults.set(test.faults...)
			err := snd.Send(t.Context(), "event", 1, nil)
			if test.sent {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, errInjected)
			}
			want := []string{"before", "event"}
			if !test.kept {
				want = want[:1]
			}
			holds(t, s, want...)
			require.NoError(t, s.Close())
			holds(t, open(t, openFile(t, faults.file, 1)), want...)
		})
	}
}

// TestFailureOfOne has one of many that share a transaction be to blame.
func TestFailureOfOne(t *testing.T) {
	s := open(t, tempDB(t))
	_, err := s.db.Exec(`CREATE TRIGGER refuse BEFORE INSERT ON memstreamer_events WHEN NEW.foreign_id = 'bad' BEGIN SELECT RAISE(ABORT, 'refused'); END`)
	require.NoError(t, err)
	snd := newSender(t, s, "orders")
	var sends []func() error
	for _, id := range []string{"a", "b", "bad", "c"} {
		sends = append(sends, func() error { return snd.Send(t.Context(), id, 1, nil) })
	}
	s.turn <- struct{}{} // which has them wait
	errs := start(t, s, sends...)
	<-s.turn
	for i, err := range errs {
		if i == 2 {
			assert.ErrorContains(t, <-err, "refused")
		} else {
			assert.NoError(t, <-err)
		}
	}
	assert.ElementsMatch(t, []string{"a", "b", "c"}, sentTo(t, s))
	assert.EqualValues(t, 3, s.Stats().Topics[0].LastID, "an ID was spent on the one refused")
}

// TestContextsBesideOneRefused has an event be refused that shares a transaction with
// others, and another connection write from then on. The others wait, each for a
// transaction of its own, and their contexts end that, also before they are back in
// the queue.
func TestContextsBesideOneRefused(t *testing.T) {
	for _, canceled := range []string{"before ROLLBACK", "later"} {
		t.Run("canceled "+canceled, func(t *testing.T) {
			s, faults := openFaulty(t, WithAckTimeout(time.Hour))
			_, err := s.db.Exec(`CREATE TRIGGER refuse BEFORE INSERT ON memstreamer_events WHEN NEW.foreign_id = 'bad' BEGIN SELECT RAISE(ABORT, 'refused'); END`)
			require.NoError(t, err)
			snd, other := newSender(t, s, "orders"), openFile(t, faults.file, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			held := make(chan func())
			faults.set(when(canceled, 1, func() error {
				cancel()
				time.Sleep(10 * time.Millisecond) // by then they know
				return nil
			}), when("after ROLLBACK", 1, func() error {
				held <- hold(t, other)
				return nil
			}))
			var sends []func() error
			for _, id := range []string{"a", "bad", "b"} {
				sends = append(sends, func() error { return snd.Send(ctx, id, 1, nil) })
			}
			s.turn <- struct{}{} // which has them wait
			errs := start(t, s, sends...)
			<-s.turn
			release := <-held
			cancel()
			within(t, func() {
				for _, err := range errs {
					assert.ErrorIs(t, <-err, context.Canceled)
				}
			})
			release()
			require.NoError(t, snd.Send(t.Context(), "c", 1, nil))
			holds(t, s, "c")
		})
	}
}

// TestAckFails has the commit of an Ack fail: the event is received again.
func TestAckFails(t *testing.T) {
	s, faults := openFaulty(t)
	sendAs(t, s, "orders", "a", "b")
	r := newReceiver(t, s, "orders", "name")
	_, ack := recv(t, r)
	faults.set(when("before COMMIT", 1, fails))
	require.ErrorIs(t, ack(), errInjected)
	again, _ := recv(t, r)
	assert.Equal(t, "a", again)
	require.NoError(t, ack())
	faults.set(when("before BEGIN", 1, fails))
	require.NoError(t, ack(), "it has nothing to write")
	next, ack := recv(t, r)
	assert.Equal(t, "b", next)
	faults.set(when("after COMMIT", 1, fails)) // it happened
	require.NoError(t, ack())
	empty(t, r)
}

// TestCommitFailsWithAckAgain has a COMMIT fail of a Send and of an Ack that was
// written before: that it is there does not tell of the Send.
func TestCommitFailsWithAckAgain(t *testing.T) {
	s, faults := openFaulty(t)
	sendAs(t, s, "orders", "a")
	r := newReceiver(t, s, "orders", "name")
	_, ack := recv(t, r)
	fault, committing, goOn := pauses()
	faults.set(when("before COMMIT", 1, fault))
	first := make(chan error, 1)
	go func() { first <- ack() }()
	<-committing
	errs := start(t, s, ack, func() error { return sendOne(t.Context(), s) })
	faults.set(when("before COMMIT", 1, fails))
	close(goOn)
	require.NoError(t, <-first)
	require.ErrorIs(t, <-errs[1], errInjected)
	<-errs[0]
	empty(t, r)
	holds(t, s, "a")
	holds(t, reopen(t, s), "a")
}

// TestOutcomeIsAwaited ends the context of a Send that another call is writing.
func TestOutcomeIsAwaited(t *testing.T) {
	s, faults := openFaulty(t)
	fault, committing, goOn := pauses()
	faults.set(when("before COMMIT", 1, fault))
	ctx, cancel := context.WithCancel(t.Context())
	send := func() error { return sendOne(ctx, s) }
	s.turn <- struct{}{} // which has them wait
	errs := start(t, s, send, send)
	<-s.turn
	<-committing
	cancel()
	close(goOn)
	require.NoError(t, <-errs[0])
	require.NoError(t, <-errs[1])
	holds(t, s, "order-1001", "order-1001")
}

// TestNewReceiverFails has the commit of a new name fail, which then is not there.
func TestNewReceiverFails(t *testing.T) {
	s, faults := openFaulty(t)
	faults.set(when("before COMMIT", 1, fails))
	_, err := s.NewReceiver(t.Context(), "orders", "a")
	require.ErrorIs(t, err, errInjected)
	assert.Empty(t, s.Stats().Receivers)
	require.NoError(t, newReceiver(t, s, "orders", "a").Close())
	faults.set(when("before BEGIN", 1, fails))
	newReceiver(t, s, "orders", "a") // it has nothing to write
	faults.set(when("after COMMIT", 1, fails))
	r := newReceiver(t, s, "orders", "b")
	require.NoError(t, sendOne(t.Context(), s))
	take(t, r, "order-1001")
}

// TestForgetFails has the commit of a Forget fail, and then that of a new cursor:
// what the database has of the old one is not taken for it.
func TestForgetFails(t *testing.T) {
	s, faults := openFaulty(t)
	sendAs(t, s, "orders", "a", "b")
	r := newReceiver(t, s, "orders", "name")
	take(t, r, "a", "b")
	require.NoError(t, r.Close())
	faults.set(when("before COMMIT", 2, fails))
	require.ErrorIs(t, s.Forget(t.Context(), "orders", "name"), errInjected)
	require.Equal(t, 1, rows(t, s, "cursors"))
	_, err := s.NewReceiver(t.Context(), "orders", "name")
	require.ErrorIs(t, err, errInjected)
	newReceiver(t, s, "orders", "name")
	take(t, newReceiver(t, reopen(t, s), "orders", "name"), "a", "b")
}

// TestForgetFailsAndIsMadeUpFor has the commit of a Forget fail: the next transaction
// deletes what it did not.
func TestForgetFailsAndIsMadeUpFor(t *testing.T) {
	for name, faulty := range map[string][]fault{
		"not committed": {when("before COMMIT", 1, fails)},
		"unknown":       {when("before COMMIT", 1, fails), when("before SELECT coalesce", 2, fails)},
		"no connection": {when("before BEGIN", 1, fails)},
	} {
		t.Run(name, func(t *testing.T) {
			s, faults := openFaulty(t)
			require.NoError(t, newReceiver(t, s, "orders", "name").Close())
			faults.set(faulty...)
			require.ErrorIs(t, s.Forget(t.Context(), "orders", "name"), errInjected)
			faults.set()
			require.Equal(t, 1, rows(t, s, "cursors"))
			require.NoError(t, sendOne(t.Context(), s))
			require.Zero(t, rows(t, s, "cursors"))
		})
	}
}

// TestSweepFails has the transaction fail that deletes what memory has dropped: a
// later one does.
func TestSweepFails(t *testing.T) {
	for _, at := range []string{"before DELETE FROM memstreamer_events", "before DELETE FROM memstreamer_cursors", "before COMMIT"} {
		t.Run(at, func(t *testing.T) {
			c := new(clock)
			s, faults := openFaulty(t, WithClock(c), WithRetention(time.Minute))
			sendAs(t, s, "orders", "a", "b")
			require.NoError(t, newReceiver(t, s, "orders", "name").Close())
			c.add(time.Hour)
			s.Stats() // which has memory drop them
			var failed atomic.Bool
			faults.set(when(at, 1, func() error {
				failed.Store(true)
				return errInjected
			}))
			snd := newSender(t, s, "orders")
			for range 3 {
				_ = snd.Send(t.Context(), "new", 1, nil)
				c.add(5 * time.Second)
			}
			require.True(t, failed.Load())
			var events, cursors int
			require.NoError(t, s.db.QueryRow(`SELECT count(*) FROM memstreamer_events WHERE foreign_id != 'new'`).Scan(&events))
			require.NoError(t, s.db.QueryRow(`SELECT count(*) FROM memstreamer_cursors`).Scan(&cursors))
			assert.Zero(t, events)
			assert.Zero(t, cursors)
		})
	}
}

// TestSendBesideDeletesThatFail has no row be deleted: events are written all the same.
func TestSendBesideDeletesThatFail(t *testing.T) {
	c := new(clock)
	s, faults := openFaulty(t, WithClock(c), WithRetention(time.Minute))
	sendAs(t, s, "orders", "a")
	c.add(time.Minute + 1)
	faults.set(when("before DELETE", math.MaxInt64, fails))
	sendAs(t, s, "orders", "b", "c")
	require.Equal(t, 3, rows(t, s, "events"))
	faults.set()
	holds(t, s, "b", "c")
}

// TestPanicOfAnother has the driver panic in a transaction that calls share: it
// panics in one of them, and the others fail.
func TestPanicOfAnother(t *testing.T) {
	const n = 8
	s, faults := openFaulty(t)
	faults.set(when("before COMMIT", 1, panics))
	panicked := errors.New("it panicked")
	var sends []func() error
	for range n {
		sends = append(sends, func() (err error) {
			defer func() {
				if recover() != nil {
					err = panicked
				}
			}()
			return sendOne(t.Context(), s)
		})
	}
	s.turn <- struct{}{} // which has them wait
	errs := start(t, s, sends...)
	<-s.turn
	led := 0
	for _, err := range errs {
		if err := <-err; err == panicked {
			led++
		} else {
			assert.ErrorContains(t, err, "panicked")
		}
	}
	assert.Equal(t, 1, led)
	holds(t, s)
}

// TestPanic has the driver panic, in each statement of a Send.
func TestPanic(t *testing.T) {
	for _, at := range []string{"before BEGIN", "after BEGIN", "before INSERT", "after INSERT", "before COMMIT", "after COMMIT"} {
		t.Run(at, func(t *testing.T) {
			s, faults := openFaulty(t)
			faults.set(when(at, 1, panics))
			assert.PanicsWithValue(t, "driver", func() { _ = sendOne(t.Context(), s) })
			if at == "after COMMIT" {
				holds(t, s, "order-1001")
			} else {
				holds(t, s)
			}
		})
	}
}

// TestClockPanics has the clock panic in a call, wherever that asks for the time:
// memory has what the database has.
func TestClockPanics(t *testing.T) {
	for name, call := range map[string]func(s *Streamer, ack memstreamer.Ack) error{
		"Send":        func(s *Streamer, _ memstreamer.Ack) error { return sendOne(context.Background(), s) },
		"Ack":         func(_ *Streamer, ack memstreamer.Ack) error { return ack() },
		"Forget":      func(s *Streamer, _ memstreamer.Ack) error { return s.Forget(context.Background(), "orders", "idle") },
		"NewReceiver": func(s *Streamer, _ memstreamer.Ack) error { return openOne(s) },
		"InTx": func(s *Streamer, _ memstreamer.Ack) error {
			return s.InTx(context.Background(), func(tx *Tx) error {
				return errors.Join(tx.Send("orders", "c", 1, nil), tx.Ack("orders", "acks", 1))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var left atomic.Int64 // until the clock panics
			clock := clockFunc(func() time.Time {
				if left.Add(-1) == 0 {
					panic("clock")
				}
				return time.Unix(1, 0)
			})
			for n, panicked := int64(1), true; panicked; n++ {
				left.Store(0)
				s := open(t, tempDB(t), WithRetention(time.Minute), WithClock(clock))
				sendAs(t, s, "orders", "a", "b")
				require.NoError(t, newReceiver(t, s, "orders", "idle").Close())
				_, ack := recv(t, newReceiver(t, s, "orders", "acks"))
				left.Store(n)
				func() {
					defer func() { panicked = recover() != nil }()
					assert.NoError(t, call(s, ack))
				}()
				left.Store(0)
				sendAs(t, s, "parcels", "p") // a Forget may be made up for
				want := kept(s)
				require.Equal(t, want, kept(reopen(t, s, WithRetention(time.Minute), WithClock(clock))), "at %d", n)
			}
		})
	}
}

// TestFullDisk fills the database up to its limit, and raises it.
func TestFullDisk(t *testing.T) {
	s := open(t, tempDB(t))
	_, err := s.db.Exec(`PRAGMA max_page_count = 64`)
	require.NoError(t, err)
	snd := newSender(t, s, "orders")
	var want []string
	large := map[memstreamer.Header]string{"large": strings.Repeat("x", 3000)}
	for i := 0; ; i++ {
		id := fmt.Sprint(i)
		if err = snd.Send(t.Context(), id, i, large); err != nil {
			break
		}
		want = append(want, id)
	}
	require.ErrorContains(t, err, "full")
	require.ErrorContains(t, snd.Send(t.Context(), "full", 0, large), "full")
	assert.EqualValues(t, len(want), s.Stats().Topics[0].Retained)

	_, err = s.db.Exec(`PRAGMA max_page_count = 1000000`)
	require.NoError(t, err)
	holds(t, s, want...)
	holds(t, reopen(t, s), want...)
}

// TestDatabaseClosed closes the database under the streamer.
func TestDatabaseClosed(t *testing.T) {
	s := open(t, tempDB(t))
	sendAs(t, s, "orders", "a", "b")
	r := newReceiver(t, s, "orders", "name")
	_, ack := recv(t, r)
	require.NoError(t, s.db.Close())

	require.ErrorContains(t, sendOne(t.Context(), s), "database is closed")
	require.ErrorContains(t, ack(), "database is closed")
	again, _ := recv(t, r)
	assert.Equal(t, "a", again, "what is kept is in memory")
	_, err := New(t.Context(), s.db)
	require.ErrorContains(t, err, "database is closed")
}

// TestGroupCommit has eight senders share commits that take as long as a disk's.
func TestGroupCommit(t *testing.T) {
	const senders, each = 8, 25
	s, faults := openFaulty(t)
	var commits atomic.Int64
	faults.set(when("before COMMIT", math.MaxInt64, func() error {
		commits.Add(1)
		time.Sleep(5 * time.Millisecond)
		return nil
	}))
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for range each {
				assert.NoError(t, sendOne(t.Context(), s))
			}
		})
	}
	sending.Wait()
	t.Logf("%d events in %d commits", senders*each, commits.Load())
	assert.LessOrEqual(t, commits.Load(), int64(senders*each/4))
}
