package benchmarks

import (
	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	adapter "github.com/luno/workflow/adapters/memstreamer"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/luno"
)

// Arrangement is what workflows of luno/workflow run on in memory: a streamer, and
// records whose outbox is polled, by the engine's default each 250 ms, or parked.
type Arrangement struct {
	Peer      // it has no Open
	Ours bool // the streamer
	Park bool // the outbox
}

// Arrangements are all four. The second pair is the first with the outbox parked.
var Arrangements = []Arrangement{
	{Peer: Peer{Name: "adapter", Title: "the engine's adapter"}},
	{Peer: Peer{Name: "memstreamer", Title: "memstreamer"}, Ours: true},
	{Peer: Peer{Name: "adapter+parked", Title: "the engine's adapter, outbox parked"}, Park: true},
	{Peer: Peer{Name: "memstreamer+parked", Title: "memstreamer, outbox parked"}, Ours: true, Park: true},
}

// records returns a new record store.
func (a Arrangement) records() workflow.RecordStore {
	if a.Park {
		return luno.ParkOutbox(memrecordstore.New(), 0)
	}
	return memrecordstore.New()
}

// streamer returns a new streamer, and what closes it.
func (a Arrangement) streamer() (s workflow.EventStreamer, close func() error) {
	if a.Ours {
		s := memstreamer.New()
		return luno.Streamer(s), s.Close
	}
	return adapter.New(), func() error { return nil }
}
