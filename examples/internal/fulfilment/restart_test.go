package fulfilment_test

import (
	"context"
	"fmt"
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

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
	"github.com/memstreamer/memstreamer/luno"
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

// What a stop loses where events are in memory and records are not: the engine takes
// an event out of its outbox once it was sent, so that from then on the streamer
// alone has it. The figures:
//
//	go test -C examples -v -run TestARestart ./internal/fulfilment
func TestARestartInMemoryLosesWhatWasSent(t *testing.T) {
	for name, newStreamer := range map[string]func() workflow.EventStreamer{
		"memstreamer":           func() workflow.EventStreamer { return luno.Streamer(memstreamer.New()) },
		"luno/workflow's own":   func() workflow.EventStreamer { return adapter.New() },
		"the streamer was kept": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if newStreamer == nil {
					kept := luno.Streamer(memstreamer.New())
					newStreamer = func() workflow.EventStreamer { return kept }
				}
				records := luno.ParkOutbox(memrecordstore.New(), 0)
				w, half := start(t, newStreamer(), records)
				for i := range orders {
					_, err := w.Trigger(t.Context(), fmt.Sprint(i))
					require.NoError(t, err)
				}
				<-half
				w.Stop()
				left := len(unfinished(t, records))

				streamer := newStreamer()
				start(t, streamer, records)
				time.Sleep(time.Hour)
				stuck := unfinished(t, records)
				t.Logf("of %d orders, stopped half-way and started again on the same records, %d were unfinished, and %d are stuck", orders, left, len(stuck))
				if name == "the streamer was kept" {
					assert.Empty(t, stuck)
				} else {
					assert.NotEmpty(t, stuck)
				}

				for _, r := range stuck {
					sendAgain(t, streamer, r)
				}
				time.Sleep(time.Hour)
				assert.Empty(t, unfinished(t, records))
			})
		})
	}
}
