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

// parts are what an engine runs on.
type parts struct {
	streamer workflow.EventStreamer
	records  func() workflow.RecordStore // of a workflow
	options  []workflow.BuildOption
	step     []workflow.Option // of each
	close    func() error
}

// parts returns new ones.
func (a Arrangement) parts() parts {
	p := parts{streamer: adapter.New(), close: func() error { return nil }}
	if a.Ours {
		s := memstreamer.New()
		p.streamer, p.close = luno.Streamer(s), s.Close
	}
	p.records = func() workflow.RecordStore {
		if a.Park {
			return luno.ParkOutbox(memrecordstore.New(), 0)
		}
		return memrecordstore.New()
	}
	return p
}
