package sqlite

import (
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/stretchr/testify/require"
)

// A restart finds the shard of a consumer, which passes over the events of others again:
// nothing is written for these.
func TestShard(t *testing.T) {
	s := open(t, tempDB(t))
	r := newReceiver(t, s, "orders", "name", memstreamer.Shard(1, 4))
	newReceiver(t, s, "orders", "idle", memstreamer.Shard(2, 4))
	for _, foreignID := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		sendAs(t, s, "orders", foreignID)
	}
	position := func() (position int64) {
		require.NoError(t, s.db.QueryRow(`SELECT position FROM memstreamer_cursors WHERE name = 'name'`).Scan(&position))
		return position
	}
	take(t, r, "1")
	require.EqualValues(t, 1, position(), "that of its last ack")
	take(t, r, "5")
	empty(t, r)
	require.EqualValues(t, 5, position())
	stats := kept(s)
	require.EqualValues(t, []memstreamer.ReceiverStats{
		{Topic: "orders", Name: "idle", Lag: 2},
		{Topic: "orders", Name: "name", AckedID: 5},
	}, stats.Receivers)

	s = reopen(t, s)
	require.Equal(t, stats, kept(s))
	for range 2 {
		for name, opts := range map[string][]memstreamer.ReceiverOption{"name": nil, "idle": {memstreamer.Shard(1, 4)}} {
			_, err := s.NewReceiver(t.Context(), "orders", name, opts...)
			require.ErrorIs(t, err, memstreamer.ErrShard)
		}
		require.NoError(t, newReceiver(t, s, "orders", "idle", memstreamer.Shard(2, 4)).Close())
	}
	r = newReceiver(t, s, "orders", "name", memstreamer.Shard(1, 4))
	sendAs(t, s, "orders", "9")
	take(t, r, "9")
	require.EqualValues(t, 9, position())
	require.NoError(t, r.Close())
	require.NoError(t, s.Forget(t.Context(), "orders", "name"))
	take(t, newReceiver(t, s, "orders", "name"), "1", "2")
	take(t, newReceiver(t, s, "orders", "idle", memstreamer.Shard(2, 4)), "2", "6")
}

// The rows of what no shard has yet to ack are deleted.
func TestShardRetention(t *testing.T) {
	c := new(clock)
	s := open(t, tempDB(t), WithClock(c), WithRetention(time.Hour))
	newReceiver(t, s, "orders", "name", memstreamer.Shard(1, 4))
	for range 8 {
		sendAs(t, s, "orders", "old")
	}
	c.add(2 * time.Hour)
	s.Stats()
	sendAs(t, s, "parcels", "new")
	require.Equal(t, 9, rows(t, s, "events"), "1 is held, and the others follow it")
	r := newReceiver(t, s, "orders", "name", memstreamer.Shard(1, 4))
	take(t, r, "old", "old")
	s.Stats()
	sendAs(t, s, "parcels", "new")
	require.Equal(t, 2, rows(t, s, "events"))
}

// TestShardsTogether makes a consumer with two shards in one transaction.
func TestShardsTogether(t *testing.T) {
	s := open(t, tempDB(t))
	s.turn <- struct{}{}
	errs := make(chan error)
	for i := range 2 {
		go func() {
			_, err := s.NewReceiver(t.Context(), "orders", "name", memstreamer.Shard(i, 2))
			errs <- err
		}()
	}
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.queue) == 2
	}, time.Minute, time.Millisecond)
	<-s.turn
	first, second := <-errs, <-errs
	if first == nil {
		first, second = second, first
	}
	require.ErrorIs(t, first, memstreamer.ErrShard)
	require.NoError(t, second)
	require.Equal(t, 1, s.Stats().Receivers[0].Open)
}

// An InTx acks for a shard.
func TestShardInTx(t *testing.T) {
	s := open(t, tempDB(t))
	r := newReceiver(t, s, "orders", "name", memstreamer.Shard(1, 2))
	sendAs(t, s, "orders", "1")
	sendAs(t, s, "orders", "2")
	sendAs(t, s, "orders", "3")
	for _, id := range []int64{1, 3} {
		ack := func(tx *Tx) error { return tx.Ack("orders", "name", id) }
		require.NoError(t, s.InTx(t.Context(), ack))
		require.ErrorIs(t, s.InTx(t.Context(), ack), ErrAcked)
	}
	empty(t, r)
}

// version2 are the tables as version 2 of this package made them.
const version2 = `
CREATE TABLE memstreamer_schema (version INTEGER NOT NULL, last_id INTEGER NOT NULL);
CREATE TABLE memstreamer_events (
	id INTEGER PRIMARY KEY, topic TEXT NOT NULL, foreign_id TEXT NOT NULL, type INTEGER NOT NULL, headers TEXT, created_at INTEGER NOT NULL
);
CREATE TABLE memstreamer_cursors (
	life INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, acked_id INTEGER NOT NULL,
	UNIQUE (topic, name)
);
CREATE TRIGGER memstreamer_last_id AFTER DELETE ON memstreamer_events BEGIN
	UPDATE memstreamer_schema SET last_id = OLD.id WHERE last_id < OLD.id;
END;
INSERT INTO memstreamer_schema (version, last_id) VALUES (2, 0);
INSERT INTO memstreamer_events (id, topic, foreign_id, type, headers, created_at) VALUES (1, 'orders', 'a', 1, NULL, 1), (2, 'orders', 'b', 2, NULL, 2);
INSERT INTO memstreamer_cursors (life, topic, name, position, acked_id) VALUES (7, 'orders', 'name', 1, 1), (9, 'orders', 'gone', 0, 0);
DELETE FROM memstreamer_cursors WHERE life = 9;`

// TestVersion2 opens a database that version 2 of this package has left, whose consumers
// have no shard.
func TestVersion2(t *testing.T) {
	db := tempDB(t)
	_, err := db.Exec(version2)
	require.NoError(t, err)
	s := open(t, db)
	_, err = s.NewReceiver(t.Context(), "orders", "name", memstreamer.Shard(0, 4))
	require.ErrorIs(t, err, memstreamer.ErrShard)
	take(t, newReceiver(t, s, "orders", "name"), "b")
	newReceiver(t, s, "orders", "shard", memstreamer.Shard(0, 4))
	s = reopen(t, s)
	newReceiver(t, s, "orders", "shard", memstreamer.Shard(0, 4))
	empty(t, newReceiver(t, s, "orders", "name"))
	var version, life int
	require.NoError(t, s.db.QueryRow(s.queries.version).Scan(&version))
	require.Equal(t, schemaVersion, version)
	require.NoError(t, s.db.QueryRow(s.queries.life, "orders", "shard").Scan(&life))
	require.Equal(t, 10, life, "no life is given twice")
}
