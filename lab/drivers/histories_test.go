package drivers

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/lab/histories"
	"github.com/memstreamer/memstreamer/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHistories judges package sqlite by the histories and the checkers of package
// histories.
func TestHistories(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			judgeHistory(t, seed, openDB(t, 1))
		})
		t.Run(fmt.Sprint("seed ", seed, ", beside a writer"), func(t *testing.T) {
			db := openDB(t, 4)
			var writing sync.WaitGroup
			done := make(chan struct{})
			writing.Go(func() { write(t, db, done) })
			judgeHistory(t, seed, db)
			close(done)
			writing.Wait()
		})
	}
}

func openDB(t *testing.T, pool int) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "test.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(60000)")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	db.SetMaxOpenConns(pool)
	// The first connection sets the journal's mode, beside which no other may open.
	_, err = db.Exec(`CREATE TABLE engine (id INTEGER PRIMARY KEY)`)
	require.NoError(t, err)
	return db
}

func judgeHistory(t *testing.T, seed uint64, db *sql.DB) {
	h := histories.Run(histories.NewPlan(seed), histories.Real, func(clock memstreamer.Clock, retention time.Duration) histories.Streamer {
		s, err := sqlite.New(t.Context(), db, sqlite.WithClock(clock), sqlite.WithRetention(retention))
		require.NoError(t, err)
		return s
	})
	assert.Empty(t, histories.CheckCounting(h))
	assert.Empty(t, histories.CheckLinearizable(h, time.Minute))
}

// write has an engine write half of the time, in transactions of a millisecond, until
// done is closed.
func write(t *testing.T, db *sql.DB, done chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
		}
		tx, err := db.Begin()
		if !assert.NoError(t, err) {
			return
		}
		_, err = tx.Exec(`INSERT INTO engine DEFAULT VALUES`)
		assert.NoError(t, err)
		time.Sleep(time.Millisecond)
		assert.NoError(t, tx.Commit())
	}
}
