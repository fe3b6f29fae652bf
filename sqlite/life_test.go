package sqlite

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// lifeOf returns the life of a consumer of "orders", by its row; 0 without a row.
func lifeOf(t *testing.T, s *Streamer, name string) (life int64) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(s.queries.life, "orders", name).Scan(&life))
	return life
}

// TestLateAck acks an event after its streamer was closed and the next one has
// forgotten the consumer. The one after that receives all that was not acked.
func TestLateAck(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(t *testing.T, s *Streamer, c *clock)
		left      []string
	}{
		"forgotten": {func(t *testing.T, s *Streamer, _ *clock) {
			require.NoError(t, s.Forget(t.Context(), "orders", "late"))
		}, []string{"a", "b", "c", "d", "e"}},
		"made anew": {func(t *testing.T, s *Streamer, _ *clock) {
			require.NoError(t, s.Forget(t.Context(), "orders", "late"))
			take(t, newReceiver(t, s, "orders", "late"), "a")
		}, []string{"b", "c", "d", "e"}},
		"expired": {func(t *testing.T, s *Streamer, c *clock) {
			c.add(time.Minute + 1)
			sendAs(t, s, "orders", "f")
			require.Zero(t, lifeOf(t, s, "late"))
		}, []string{"f"}}, // the others are past the period for a new consumer
	} {
		t.Run(name, func(t *testing.T) {
			c := new(clock)
			opts := []Option{WithClock(c), WithRetention(time.Minute)}
			s := open(t, tempDB(t), opts...)
			newReceiver(t, s, "orders", "keeper")
			sendAs(t, s, "orders", "a", "b", "c", "d", "e")
			r := newReceiver(t, s, "orders", "late")
			take(t, r, "a", "b", "c")
			_, ack := recv(t, r)

			next := reopen(t, s, opts...)
			newReceiver(t, next, "orders", "keeper")
			test.meanwhile(t, next, c)
			life := lifeOf(t, next, "late")
			require.NoError(t, next.Close())
			require.NoError(t, ack())
			require.Equal(t, life, lifeOf(t, next, "late"))

			last := open(t, s.db, opts...)
			r = newReceiver(t, last, "orders", "late")
			take(t, r, test.left...)
			empty(t, r)
		})
	}
}

// TestLivesAreNotReused forgets consumers, the one made last among them, and makes them
// again after a restart.
func TestLivesAreNotReused(t *testing.T) {
	s := open(t, tempDB(t))
	lives := make(map[int64]bool)
	for range 3 {
		for _, name := range []string{"one", "two"} {
			require.NoError(t, newReceiver(t, s, "orders", name).Close())
			life := lifeOf(t, s, name)
			require.False(t, lives[life], "life %d is given again", life)
			lives[life] = true
			require.NoError(t, s.Forget(t.Context(), "orders", name))
		}
		s = reopen(t, s)
	}
}

// TestNewReceiversShareALife has receivers of one new consumer, and a Forget of it, be
// written together.
func TestNewReceiversShareALife(t *testing.T) {
	s := open(t, tempDB(t))
	sendAs(t, s, "orders", "a", "b")
	var receivers [2]memstreamer.EventReceiver
	together(t, s, func() (err error) {
		receivers[0], err = s.NewReceiver(t.Context(), "orders", "name")
		return err
	}, func() error {
		return s.Forget(t.Context(), "orders", "name")
	}, func() (err error) {
		receivers[1], err = s.NewReceiver(t.Context(), "orders", "name", memstreamer.StreamFromLatest())
		return err
	})
	take(t, receivers[0], "a")
	take(t, receivers[1], "b")
	assert.Equal(t, 1, rows(t, s, "cursors"))
	assert.Equal(t, kept(s), kept(reopen(t, s)))
}

// TestNewReceiverOfAnExpired has another call make the consumer, and that expire, before
// the NewReceiver that waited for it opens it.
func TestNewReceiverOfAnExpired(t *testing.T) {
	c := new(clock)
	s := open(t, tempDB(t), WithClock(c), WithRetention(time.Minute))
	first := newReceiver(t, s, "orders", "name")
	life := lifeOf(t, s, "name")
	// As if it had asked before.
	late := &op{kind: opReceiver, topic: "orders", name: "name"}
	require.NoError(t, s.commit(t.Context(), late))
	require.Nil(t, late.receiver, "it is to be resumed")
	require.NoError(t, first.Close())
	c.add(time.Minute + 1)
	r := newReceiver(t, s, "orders", "name")
	require.Greater(t, lifeOf(t, s, "name"), life)
	sendAs(t, s, "orders", "a")
	take(t, r, "a")
	require.Equal(t, kept(s), kept(reopen(t, s, WithClock(c))))
}

// TestNewReceiverInDoubt has the outcome of a NewReceiver stay open: once it is known,
// its consumer is not there.
func TestNewReceiverInDoubt(t *testing.T) {
	for _, at := range []string{"before COMMIT", "after COMMIT"} {
		t.Run(at, func(t *testing.T) {
			s, faults := openFaulty(t)
			sendAs(t, s, "orders", "a")
			faults.set(when(at, 1, fails), when("before SELECT coalesce((SELECT position", 1, fails))
			_, err := s.NewReceiver(t.Context(), "orders", "name")
			require.ErrorContains(t, err, "outcome of a COMMIT is unknown")
			sendAs(t, s, "orders", "b")
			require.Empty(t, s.Stats().Receivers)
			require.Zero(t, rows(t, s, "cursors"))
			take(t, newReceiver(t, s, "orders", "name"), "a", "b")
			require.Equal(t, kept(s), kept(reopen(t, s)))
		})
	}
}

// TestHeadersInDoubt changes the headers of a Send whose outcome is unknown before that
// is found out.
func TestHeadersInDoubt(t *testing.T) {
	for name, fault := range map[string]fault{
		"COMMIT fails":  when("after COMMIT", 1, fails),
		"COMMIT panics": when("after COMMIT", 1, panics),
	} {
		t.Run(name, func(t *testing.T) {
			s, faults := openFaulty(t)
			snd := newSender(t, s, "orders")
			faults.set(fault, when("before SELECT", 1, fails))
			headers := map[memstreamer.Header]string{"run_id": "1"}
			func() {
				defer func() { _ = recover() }()
				require.Error(t, snd.Send(t.Context(), "a", 1, headers))
			}()
			headers["run_id"] = "2"
			faults.set()
			require.NoError(t, snd.Send(t.Context(), "b", 1, headers))
			e, _, err := newReceiver(t, s, "orders", "name").Recv(t.Context())
			require.NoError(t, err)
			require.Equal(t, map[memstreamer.Header]string{"run_id": "1"}, e.Headers)
		})
	}
}

// TestForgottenAsItAcks forgets a consumer, and makes it again, while the transaction
// that has its ack and a Send is under way. The COMMIT fails, and has happened.
func TestForgottenAsItAcks(t *testing.T) {
	for name, again := range map[string][]func(s *Streamer) error{
		"forgotten": {},
		"made again": {func(s *Streamer) error {
			return s.commit(context.Background(), &op{kind: opReceiver, topic: "orders", name: "name"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s, faults := openFaulty(t)
			sendAs(t, s, "orders", "a")
			r := newReceiver(t, s, "orders", "name")
			_, ack := recv(t, r)
			s.leader.dropped.events = []int64{0} // there is more to delete than this
			faults.set(when("after UPDATE memstreamer_cursors", 1, func() error {
				return errors.Join(r.Close(), s.memory.Forget(t.Context(), "orders", "name"))
			}), when("after COMMIT", 1, fails))
			calls := []func() error{ack, func() error { return sendOne(t.Context(), s) }}
			for _, call := range again {
				calls = append(calls, func() error { return call(s) })
			}
			together(t, s, calls...)
			holds(t, s, "a", "order-1001")
			require.Equal(t, kept(s), kept(reopen(t, s)))
		})
	}
}

// TestNewReceiverAsItCloses closes the streamer while a NewReceiver is being written:
// it succeeds, and its receiver is closed.
func TestNewReceiverAsItCloses(t *testing.T) {
	s, faults := openFaulty(t)
	fault, committing, goOn := pauses()
	faults.set(when("before COMMIT", 1, fault))
	made := make(chan error, 1)
	var r memstreamer.EventReceiver
	go func() {
		var err error
		r, err = s.NewReceiver(t.Context(), "orders", "name")
		made <- err
	}()
	<-committing
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		assert.NoError(t, s.Close())
	}()
	require.Eventually(t, func() bool {
		_, _, err := s.journal.Resume("orders", "another", memstreamer.ReceiverOptions{})
		return errors.Is(err, memstreamer.ErrClosed)
	}, time.Minute, time.Millisecond)
	select {
	case <-closed:
		t.Error("Close has returned while a call was writing")
	case <-time.After(20 * time.Millisecond):
	}
	close(goOn)
	require.NoError(t, <-made)
	<-closed
	_, _, err := r.Recv(t.Context())
	require.ErrorIs(t, err, memstreamer.ErrClosed)
	require.NoError(t, r.Close())
	require.Len(t, kept(open(t, s.db)).Receivers, 1)
}

// TestEphemeral has an ephemeral receiver do all it can on a database that fails
// whatever it is asked.
func TestEphemeral(t *testing.T) {
	s, faults := openFaulty(t)
	sendAs(t, s, "orders", "a", "b")
	faults.set(func(string) error { return errInjected })
	r := newReceiver(t, s, "orders", "name", memstreamer.Ephemeral())
	take(t, r, "a")
	_, ack := recv(t, r)
	require.NoError(t, r.Close())
	require.NoError(t, ack())
	require.Empty(t, s.Stats().Receivers)
	faults.set()

	// A consumer of its name is another.
	take(t, newReceiver(t, s, "orders", "name"), "a")
	r = newReceiver(t, s, "orders", "name", memstreamer.Ephemeral())
	_, ack = recv(t, r)
	s = reopen(t, s)
	require.NoError(t, ack(), "after Close")
	require.Equal(t, 1, rows(t, s, "cursors"))
	take(t, newReceiver(t, s, "orders", "name"), "b")
}

// version1 are the tables as version 1 of this package made them.
const version1 = `
CREATE TABLE memstreamer_schema (version INTEGER NOT NULL, last_id INTEGER NOT NULL);
CREATE TABLE memstreamer_events (
	id INTEGER PRIMARY KEY, topic TEXT NOT NULL, foreign_id TEXT NOT NULL, type INTEGER NOT NULL, headers TEXT, created_at INTEGER NOT NULL
);
CREATE TABLE memstreamer_cursors (
	topic TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, acked_id INTEGER NOT NULL,
	PRIMARY KEY (topic, name)
) WITHOUT ROWID;
CREATE TRIGGER memstreamer_last_id AFTER DELETE ON memstreamer_events BEGIN
	UPDATE memstreamer_schema SET last_id = OLD.id WHERE last_id < OLD.id;
END;
INSERT INTO memstreamer_schema (version, last_id) VALUES (1, 0);
INSERT INTO memstreamer_events (id, topic, foreign_id, type, headers, created_at) VALUES
	(1, 'orders', 'a', 1, NULL, 1), (2, 'orders', 'b', 2, '{"run_id":"2"}', 2), (3, 'parcels', 'p', 3, NULL, 3), (4, 'orders', 'c', 4, NULL, 4);
INSERT INTO memstreamer_cursors (topic, name, position, acked_id) VALUES
	('orders', 'new', 0, 0), ('orders', 'one', 1, 1), ('parcels', 'one', 3, 3);
DELETE FROM memstreamer_events WHERE id = 4;`

// TestVersion1 opens a database that version 1 of this package has left.
func TestVersion1(t *testing.T) {
	db := tempDB(t)
	_, err := db.Exec(version1)
	require.NoError(t, err)
	s := open(t, db)
	stats := kept(s)
	require.Equal(t, []memstreamer.ReceiverStats{
		{Topic: "orders", Name: "new", Lag: 2},
		{Topic: "orders", Name: "one", Lag: 1, AckedID: 1},
		{Topic: "parcels", Name: "one", AckedID: 3},
	}, stats.Receivers)
	s = reopen(t, s)
	require.Equal(t, stats, kept(s))
	e, ack, err := newReceiver(t, s, "orders", "one").Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, memstreamer.Event{ID: 2, ForeignID: "b", Type: 2, Headers: map[memstreamer.Header]string{"run_id": "2"}, CreatedAt: time.Unix(0, 2)}, *e)
	require.NoError(t, ack())
	sendAs(t, s, "orders", "d")
	require.EqualValues(t, 5, s.Stats().Topics[0].LastID, "IDs go on")

	var version int
	require.NoError(t, s.db.QueryRow(s.queries.version).Scan(&version))
	require.Equal(t, schemaVersion, version)
	table := func(s *Streamer) (statement string) {
		require.NoError(t, s.db.QueryRow(`SELECT sql FROM sqlite_schema WHERE name = 'memstreamer_cursors'`).Scan(&statement))
		return statement
	}
	require.Equal(t, table(open(t, tempDB(t))), table(s), "as in a new database")
	require.Error(t, s.db.QueryRow(`SELECT 1 FROM memstreamer_cursors_1`).Scan(new(int)), "the old table is gone")
}
