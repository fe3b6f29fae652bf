package drivers

import (
	"path/filepath"
	"testing"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/adaptertest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/luno/sqlitestore"
	"github.com/memstreamer/memstreamer/sqlite"
)

// Records runs the engine's suites on records and timeouts on the driver.
func Records(t *testing.T, d Driver) {
	open := func(streams bool) *sqlitestore.Store {
		db, err := d.open(d.DSN(filepath.Join(t.TempDir(), "test.db")), 1)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, db.Close()) })
		var streamer *sqlite.Streamer
		if streams {
			streamer, err = sqlite.New(t.Context(), db)
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, streamer.Close()) })
		}
		s, err := sqlitestore.New(t.Context(), db, streamer)
		require.NoError(t, err)
		return s
	}
	stores := 0
	adaptertest.RunRecordStoreTest(t, func() workflow.RecordStore {
		stores++
		return open(stores != 4 && stores != 5) // which look into the outbox
	})
	adaptertest.RunTimeoutStoreTest(t, func() workflow.TimeoutStore { return open(true).Timeouts() })
}
