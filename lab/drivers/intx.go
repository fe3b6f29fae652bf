package drivers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/sqlite"
)

var errOwn = errors.New("the function's own error")

// InTx has 500 goroutines write a row and an event each by InTx, beside Sends, Acks and
// another connection that writes. Half of them end in a way that leaves neither. Those
// that share a transaction with these leave both.
func InTx(t *testing.T, d Driver) {
	file := filepath.Join(t.TempDir(), "test.db")
	db, err := d.open(d.DSN(file), 1)
	require.NoError(t, err)
	defer func() { assert.NoError(t, db.Close()) }()
	_, err = db.Exec(`PRAGMA foreign_keys = ON`)
	require.NoError(t, err)
	_, err = db.Exec(`CREATE TABLE app (n INTEGER PRIMARY KEY, parent INTEGER REFERENCES app (n) DEFERRABLE INITIALLY DEFERRED)`)
	require.NoError(t, err)
	_, err = db.Exec(`INSERT INTO app (n) VALUES (-1)`)
	require.NoError(t, err)
	s, err := sqlite.New(t.Context(), db)
	require.NoError(t, err)

	stop := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() { writeBeside(t, d, file, stop) })
	beside.Go(func() { sendAndAck(t, s, stop) })

	const callers = 500
	outcomes := make([]error, callers)
	var calling sync.WaitGroup
	for n := range callers {
		outcomes[n] = errors.New("it did not return") // but panicked or ended its goroutine
		calling.Go(func() {
			defer func() { _ = recover() }()
			outcomes[n] = inTx(s, n)
		})
	}
	calling.Wait()
	close(stop)
	beside.Wait()

	var want []string
	ended := make(map[string]int)
	for n, err := range outcomes {
		if err == nil {
			want = append(want, strconv.Itoa(n))
		}
		// A context is looked at before a function is called, for the first time or again.
		inTime := !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
		assert.Equal(t, ways[n%len(ways)].ok, err == nil || !inTime, "%d: %v", n, err)
		ended[fmt.Sprint(err)]++
	}
	t.Log(ended)
	check := func(s *sqlite.Streamer) {
		assert.ElementsMatch(t, want, rowsOf(t, db))
		assert.ElementsMatch(t, want, eventsOf(t, s, "orders"))
		var sent int64
		for _, topic := range s.Stats().Topics {
			sent += int64(topic.Retained)
		}
		for _, topic := range s.Stats().Topics {
			assert.LessOrEqual(t, topic.LastID, sent, "an ID was spent on an event that is not there")
		}
	}
	check(s)
	require.NoError(t, s.Close())
	s, err = sqlite.New(t.Context(), db)
	require.NoError(t, err)
	check(s)
	require.NoError(t, s.Close())
}

// ways are those in which a function ends, after it has written its row and its event.
var ways = []struct {
	ok  bool // the InTx may succeed
	end func(tx *sqlite.Tx, n int) error
}{
	{true, nothing},
	{false, func(*sqlite.Tx, int) error { return errOwn }},
	{true, nothing},
	{false, func(*sqlite.Tx, int) error { panic(errOwn) }},
	{true, nothing},
	{false, func(*sqlite.Tx, int) error { runtime.Goexit(); return nil }},
	{true, nothing}, // with a deadline: see inTx
	{false, func(tx *sqlite.Tx, n int) error { return insert(tx, `INSERT INTO app (n) VALUES (-1)`) }},
	{true, func(tx *sqlite.Tx, n int) error {
		_ = insert(tx, `INSERT INTO app (n) VALUES (-1)`) // which is all that fails
		return nil
	}},
	{false, func(tx *sqlite.Tx, n int) error { return insert(tx, `INSERT OR ROLLBACK INTO app (n) VALUES (-1)`) }},
	{true, func(tx *sqlite.Tx, n int) error {
		tx.QueryRowContext(context.Background(), `SELECT n FROM app`)
		_, err := tx.QueryContext(context.Background(), `SELECT n FROM app`)
		return err
	}},
	{false, func(tx *sqlite.Tx, n int) error {
		_ = insert(tx, `INSERT OR ROLLBACK INTO app (n) VALUES (-1)`)
		_ = insert(tx, `INSERT INTO app (n) VALUES (-2)`)
		return nil
	}},
	{true, nothing},
	{false, func(tx *sqlite.Tx, n int) error { return insert(tx, `INSERT INTO app (n, parent) VALUES (-3, 99999)`) }},
	{true, nothing}, // and its context ends
	{false, func(tx *sqlite.Tx, n int) error { return insert(tx, `COMMIT`) }},
	{false, func(tx *sqlite.Tx, n int) error { // whose error some drivers report with the row
		_ = tx.QueryRowContext(context.Background(), `INSERT OR ROLLBACK INTO app (n) VALUES (-1) RETURNING n`).Scan(new(int))
		_ = insert(tx, `INSERT INTO app (n) VALUES (-2)`)
		return nil
	}},
}

func nothing(*sqlite.Tx, int) error { return nil }

func insert(tx *sqlite.Tx, query string, args ...any) error {
	_, err := tx.ExecContext(context.Background(), query, args...)
	return err
}

func inTx(s *sqlite.Streamer, n int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if n%len(ways) == 6 {
		ctx, cancel = context.WithTimeout(ctx, rand.N(200*time.Millisecond))
		defer cancel()
	}
	return s.InTx(ctx, func(tx *sqlite.Tx) error {
		if n%len(ways) == 14 {
			cancel()
		}
		if err := insert(tx, `INSERT INTO app (n) VALUES (?)`, n); err != nil {
			return err
		}
		if err := tx.Send("orders", strconv.Itoa(n), n, nil); err != nil {
			return err
		}
		return ways[n%len(ways)].end(tx, n)
	})
}

// writeBeside writes by another connection, until stop is closed.
func writeBeside(t *testing.T, d Driver, file string, stop chan struct{}) {
	db, err := d.open(d.DSN(file), 1)
	if !assert.NoError(t, err) {
		return
	}
	defer db.Close()
	_, err = db.Exec(`CREATE TABLE beside (n INTEGER)`)
	assert.NoError(t, err)
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
		}
		_, err := db.Exec(`INSERT INTO beside VALUES (1)`)
		assert.NoError(t, err)
	}
}

// sendAndAck sends to a topic of its own, and acks, until stop is closed.
func sendAndAck(t *testing.T, s *sqlite.Streamer, stop chan struct{}) {
	snd, err := s.NewSender(t.Context(), "parcels")
	assert.NoError(t, err)
	r, err := s.NewReceiver(t.Context(), "parcels", "name")
	assert.NoError(t, err)
	for {
		select {
		case <-stop:
			return
		default:
		}
		if !assert.NoError(t, snd.Send(t.Context(), "p", 1, nil)) {
			return
		}
		_, ack, err := r.Recv(t.Context())
		if !assert.NoError(t, err) || !assert.NoError(t, ack()) {
			return
		}
	}
}

// rowsOf returns the rows of the callers' own.
func rowsOf(t *testing.T, db *sql.DB) (all []string) {
	rows, err := db.Query(`SELECT n FROM app WHERE n != -1`)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var n string
		require.NoError(t, rows.Scan(&n))
		all = append(all, n)
	}
	require.NoError(t, rows.Err())
	return all
}

// eventsOf returns the foreign IDs of the events of a topic.
func eventsOf(t *testing.T, s *sqlite.Streamer, topic string) (all []string) {
	r, err := s.NewReceiver(t.Context(), topic, "all", memstreamer.Ephemeral())
	require.NoError(t, err)
	defer r.Close()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		e, ack, err := r.Recv(ctx)
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			return all
		}
		all = append(all, e.ForeignID)
		require.NoError(t, ack())
	}
}
