package fulfilment_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"
	adapter "github.com/luno/workflow/adapters/memstreamer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
	"github.com/memstreamer/memstreamer/luno"
	"github.com/memstreamer/memstreamer/luno/sqlitestore"
	"github.com/memstreamer/memstreamer/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const orders = 300

// start runs the workflow on records that may be kept from a run before, until stop
// is called. half is closed when half of all steps are done.
func start(t *testing.T, streamer workflow.EventStreamer, records workflow.RecordStore) (w *workflow.Workflow[fulfilment.Order, fulfilment.Status], half chan struct{}) {
	half = make(chan struct{})
	var done atomic.Int64
	w = fulfilment.NewBuilder(func(context.Context, *fulfilment.Order, fulfilment.Status) error {
		time.Sleep(time.Millisecond)
		if done.Add(1) == orders*7/2 {
			close(half)
		}
		return nil
	}).Build(streamer, records, memrolescheduler.New())
	w.Run(t.Context())
	t.Cleanup(w.Stop)
	return w, half
}

// unfinished returns the records of the runs that have not ended.
func unfinished(t *testing.T, records workflow.RecordStore) []workflow.Record {
	running, err := records.List(t.Context(), fulfilment.Name, 0, orders, workflow.OrderTypeAscending,
		workflow.FilterByRunState(workflow.RunStateInitiated, workflow.RunStateRunning))
	require.NoError(t, err)
	return running
}

// sendAgain sends the event of a record's last change: what the engine had sent, and
// a streamer in memory has lost.
func sendAgain(t *testing.T, streamer workflow.EventStreamer, r workflow.Record) {
	topic := workflow.Topic(r.WorkflowName, r.Status)
	sender, err := streamer.NewSender(t.Context(), topic)
	require.NoError(t, err)
	require.NoError(t, sender.Send(t.Context(), r.RunID, r.Status, map[workflow.Header]string{
		workflow.HeaderTopic:         topic,
		workflow.HeaderWorkflowName:  r.WorkflowName,
		workflow.HeaderForeignID:     r.ForeignID,
		workflow.HeaderRunID:         r.RunID,
		workflow.HeaderRunState:      strconv.Itoa(int(r.RunState)),
		workflow.HeaderRecordVersion: strconv.FormatUint(uint64(r.Meta.Version), 10),
	}))
	require.NoError(t, sender.Close())
}

// arrangement returns what the engine runs on, again after each restart.
type arrangement func() (workflow.EventStreamer, workflow.RecordStore)

// inMemory has a new streamer for each start, on records that are kept.
func inMemory(newStreamer func() workflow.EventStreamer) func(*testing.T) arrangement {
	return func(*testing.T) arrangement {
		records := luno.ParkOutbox(memrecordstore.New(), 0)
		return func() (workflow.EventStreamer, workflow.RecordStore) { return newStreamer(), records }
	}
}

// inOneFile has records and events in a file.
func inOneFile(t *testing.T) arrangement {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "orders.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	var streamer *sqlite.Streamer
	t.Cleanup(func() { assert.NoError(t, streamer.Close()) })
	return func() (workflow.EventStreamer, workflow.RecordStore) {
		if streamer != nil {
			require.NoError(t, streamer.Close())
		}
		streamer, err = sqlite.New(t.Context(), db)
		require.NoError(t, err)
		store, err := sqlitestore.New(t.Context(), db, streamer)
		require.NoError(t, err)
		return luno.Streamer(streamer), store
	}
}

// What a stop loses where events are in memory and records are not: the engine takes
// an event out of its outbox once it was sent, so that from then on the streamer
// alone has it. In one file nothing is lost. The figures:
//
//	go test -C examples -v -run TestARestart ./internal/fulfilment
func TestARestart(t *testing.T) {
	for name, test := range map[string]struct {
		arrange func(*testing.T) arrangement
		loses   bool
	}{
		"memstreamer":         {inMemory(func() workflow.EventStreamer { return luno.Streamer(memstreamer.New()) }), true},
		"luno/workflow's own": {inMemory(func() workflow.EventStreamer { return adapter.New() }), true},
		"one file":            {inOneFile, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				open := test.arrange(t)
				streamer, records := open()
				w, half := start(t, streamer, records)
				for i := range orders {
					_, err := w.Trigger(t.Context(), fmt.Sprint(i))
					require.NoError(t, err)
				}
				<-half
				w.Stop()
				left := len(unfinished(t, records))

				streamer, records = open()
				start(t, streamer, records)
				time.Sleep(time.Hour)
				stuck := unfinished(t, records)
				t.Logf("of %d orders, stopped half-way and started again on the same records, %d were unfinished, and %d are stuck", orders, left, len(stuck))
				assert.NotZero(t, left)
				assert.Equal(t, test.loses, len(stuck) > 0)

				for _, r := range stuck {
					sendAgain(t, streamer, r)
				}
				time.Sleep(time.Hour)
				assert.Empty(t, unfinished(t, records))
			})
		})
	}
}
