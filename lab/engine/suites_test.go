package engine

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/adaptertest"
	"github.com/luno/workflow/adapters/memrecordstore"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/luno"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(killFile); file != "" {
		killed(file)
	}
	goleak.VerifyTestMain(m)
}

// streamers open a streamer for a test.
var streamers = map[string]func(t *testing.T) memstreamer.EventStreamer{
	"memory": func(*testing.T) memstreamer.EventStreamer { return memstreamer.New() },
	"memory with retention": func(*testing.T) memstreamer.EventStreamer {
		return memstreamer.New(memstreamer.WithRetention(time.Hour))
	},
	"sqlite":    openSQLite,
	"jetstream": openJetStream,
}

func TestEventStreamers(t *testing.T) {
	for name, open := range streamers {
		t.Run(name+", luno.Streamer", func(t *testing.T) {
			adaptertest.RunEventStreamerTest(t, func() workflow.EventStreamer { return luno.Streamer(open(t)) })
		})
		t.Run(name+", As", func(t *testing.T) {
			adaptertest.RunEventStreamerTest(t, func() workflow.EventStreamer {
				return memstreamer.As[workflow.EventStreamer](open(t))
			})
		})
	}
}

func TestConnectors(t *testing.T) {
	for name, retention := range map[string]time.Duration{"memory": 0, "memory with retention": time.Hour} {
		t.Run(name, func(t *testing.T) {
			adaptertest.RunConnectorTest(t, func(events []workflow.ConnectorEvent) workflow.ConnectorConstructor {
				return memstreamer.AsConnector[workflow.ConnectorConstructor](
					memstreamer.NewConnector(events, memstreamer.WithRetention(retention)))
			})
		})
	}
}

// TestRecordStore runs the engine's suite on ParkOutbox, but for its last look at an
// outbox that is empty: there it parks.
func TestRecordStore(t *testing.T) {
	adaptertest.RunRecordStoreTest(t, func() workflow.RecordStore {
		records := memrecordstore.New()
		return emptyStore{luno.ParkOutbox(records, 0), records}
	})
}

// emptyStore is a parked store that does not park where there are no events.
type emptyStore struct {
	workflow.RecordStore
	under workflow.RecordStore
}

func (s emptyStore) ListOutboxEvents(ctx context.Context, workflowName string, limit int64) ([]workflow.OutboxEvent, error) {
	events, err := s.under.ListOutboxEvents(ctx, workflowName, limit)
	if err != nil || len(events) == 0 {
		return events, err
	}
	return s.RecordStore.ListOutboxEvents(ctx, workflowName, limit)
}
