package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/streamertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// contract has time for 2,000 hand-offs, which are 4,000 commits, on a busy machine.
var contract = []streamertest.Option{streamertest.InMemory(), streamertest.WithDeadline(time.Minute)}

func TestContract(t *testing.T) {
	for _, pool := range []int{1, 8} {
		t.Run(fmt.Sprint("pool of ", pool), func(t *testing.T) {
			streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
				return open(t, openFile(t, tempFile(t), pool))
			}, contract...)
		})
	}
	t.Run("acks that ride along", func(t *testing.T) {
		streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
			return open(t, tempDB(t), WithAckDelay(time.Millisecond))
		}, contract...)
	})
	t.Run("in memory", func(t *testing.T) {
		streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
			return open(t, openFile(t, ":memory:", 1))
		}, contract...)
	})
}

func dsn(file string) string {
	return "file:" + file + "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
}

// openDB opens a database with a pool of that many connections.
func openDB(dsn string, pool int) (db *sql.DB, err error) {
	var opened sync.WaitGroup
	opened.Go(func() {
		// The suite knows its streamer's goroutines by a label, which the
		// database's own must not have.
		pprof.SetGoroutineLabels(context.Background())
		if db, err = sql.Open("sqlite", dsn); err == nil {
			db.SetMaxOpenConns(pool)
		}
	})
	opened.Wait()
	return db, err
}

func openFile(t testing.TB, file string, pool int) *sql.DB {
	t.Helper()
	db, err := openDB(dsn(file), pool)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func tempFile(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

func tempDB(t testing.TB) *sql.DB { return openFile(t, tempFile(t), 1) }

// open opens a streamer that is closed before its database.
func open(t testing.TB, db *sql.DB, opts ...Option) *Streamer {
	t.Helper()
	s, err := New(t.Context(), db, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// reopen closes s, and opens the next streamer of its database.
func reopen(t testing.TB, s *Streamer, opts ...Option) *Streamer {
	t.Helper()
	require.NoError(t, s.Close())
	return open(t, s.db, opts...)
}

// kept returns what the next streamer has to know too.
func kept(s *Streamer) (stats memstreamer.Stats) {
	for _, topic := range s.Stats().Topics {
		topic.Sent = 0
		stats.Topics = append(stats.Topics, topic)
	}
	for _, r := range s.Stats().Receivers {
		stats.Receivers = append(stats.Receivers, memstreamer.ReceiverStats{Topic: r.Topic, Name: r.Name, Lag: r.Lag, AckedID: r.AckedID})
	}
	return stats
}

// rows returns how many rows a table has.
func rows(t testing.TB, s *Streamer, table string) (n int) {
	t.Helper()
	require.NoError(t, s.db.QueryRow("SELECT count(*) FROM memstreamer_"+table).Scan(&n))
	return n
}

// sendOne sends an event, as "order-1001", to the topic "orders".
func sendOne(ctx context.Context, s *Streamer) error {
	snd, err := s.NewSender(ctx, "orders")
	if err != nil {
		return err
	}
	defer snd.Close()
	return snd.Send(ctx, "order-1001", 1, map[memstreamer.Header]string{memstreamer.HeaderRunID: "1"})
}

// openOne opens a receiver of "orders", as "name", and closes it.
func openOne(s *Streamer) error {
	r, err := s.NewReceiver(context.Background(), "orders", "name")
	if err != nil {
		return err
	}
	return r.Close()
}

func sendAs(t testing.TB, s *Streamer, topic string, foreignIDs ...string) {
	t.Helper()
	snd := newSender(t, s, topic)
	for i, id := range foreignIDs {
		require.NoError(t, snd.Send(t.Context(), id, i, nil))
	}
	require.NoError(t, snd.Close())
}

func newSender(t testing.TB, s *Streamer, topic string) memstreamer.EventSender {
	t.Helper()
	snd, err := s.NewSender(t.Context(), topic)
	require.NoError(t, err)
	return snd
}

func newReceiver(t testing.TB, s *Streamer, topic, name string, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
	t.Helper()
	r, err := s.NewReceiver(t.Context(), topic, name, opts...)
	require.NoError(t, err)
	return r
}

// recv receives an event, and returns its foreign ID.
func recv(t testing.TB, r memstreamer.EventReceiver) (string, memstreamer.Ack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e, ack, err := r.Recv(ctx)
	require.NoError(t, err)
	return e.ForeignID, ack
}

// take receives and acks these.
func take(t testing.TB, r memstreamer.EventReceiver, foreignIDs ...string) {
	t.Helper()
	for _, want := range foreignIDs {
		got, ack := recv(t, r)
		require.Equal(t, want, got)
		require.NoError(t, ack())
	}
}

// empty sees that r has nothing to receive.
func empty(t testing.TB, r memstreamer.EventReceiver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, _, err := r.Recv(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// holds sees that these are the events of "orders", and no others.
func holds(t testing.TB, s *Streamer, foreignIDs ...string) {
	t.Helper()
	r := newReceiver(t, s, "orders", "sees all")
	take(t, r, foreignIDs...)
	empty(t, r)
	require.NoError(t, r.Close())
	require.NoError(t, s.Forget(t.Context(), "orders", "sees all"))
}

// waiting returns how many calls wait to be written.
func (s *Streamer) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// start runs calls, and returns the channels of their outcomes once all wait to be
// written, in that order, behind whoever has the database.
func start(t testing.TB, s *Streamer, calls ...func() error) (errs []chan error) {
	t.Helper()
	for _, call := range calls {
		before, err := s.waiting(), make(chan error, 1)
		go func() { err <- call() }()
		require.Eventually(t, func() bool { return s.waiting() > before }, time.Minute, 10*time.Microsecond)
		errs = append(errs, err)
	}
	return errs
}

// clock is a clock that a test sets.
type clock struct{ nanos atomic.Int64 }

func (c *clock) Now() time.Time { return time.Unix(0, c.nanos.Load()) }

func (c *clock) add(d time.Duration) { c.nanos.Add(int64(d)) }

type clockFunc func() time.Time

func (f clockFunc) Now() time.Time { return f() }
