package drivers

import (
	"database/sql"
	"fmt"
	"path/filepath"
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
			db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "test.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
			require.NoError(t, err)
			db.SetMaxOpenConns(1)
			h := histories.Run(histories.NewPlan(seed), histories.Real, func(clock memstreamer.Clock, retention time.Duration) histories.Streamer {
				s, err := sqlite.New(t.Context(), db, sqlite.WithClock(clock), sqlite.WithRetention(retention))
				require.NoError(t, err)
				return s
			})
			assert.Empty(t, histories.CheckCounting(h))
			assert.Empty(t, histories.CheckLinearizable(h, time.Minute))
			require.NoError(t, db.Close())
		})
	}
}
