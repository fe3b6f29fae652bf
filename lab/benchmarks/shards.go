package benchmarks

import (
	"context"
	"errors"
	"fmt"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/luno"
	"github.com/memstreamer/memstreamer/sqlite"
)

// Sharded is what workflows of luno/workflow run on whose steps have a ParallelCount:
// events in memory or in one SQLite file, records in memory, the outbox parked.
type Sharded struct {
	Peer   // it has no Open
	Shards int
	file   bool
}

// Shardeds are 1, 4 and 16 shards in memory, and the same in a file.
var Shardeds = func() (all []Sharded) {
	for _, file := range []bool{false, true} {
		place := "memory"
		if file {
			place = "one file"
		}
		for _, n := range []int{1, 4, 16} {
			all = append(all, Sharded{Peer{Name: fmt.Sprintf("%t-%d", file, n), Title: fmt.Sprintf("%s, %d", place, n)}, n, file})
		}
	}
	return all
}()

// parts returns new ones.
func (s Sharded) parts() (p parts, err error) {
	p = parts{
		records: func() workflow.RecordStore { return luno.ParkOutbox(memrecordstore.New(), 0) },
		step:    []workflow.Option{workflow.ParallelCount(s.Shards)},
	}
	if !s.file {
		memory := memstreamer.New()
		p.streamer, p.close = luno.Streamer(memory), memory.Close
		return p, nil
	}
	db, remove, err := openDB("NORMAL")
	if err != nil {
		return parts{}, err
	}
	streamer, err := sqlite.New(context.Background(), db)
	if err != nil {
		return parts{}, errors.Join(err, remove())
	}
	p.streamer, p.close = luno.Streamer(streamer), func() error { return errors.Join(streamer.Close(), remove()) }
	return p, nil
}
