package benchmarks

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/luno/workflow"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/sqlite"
)

func eachOneFile(b *testing.B, job func(*testing.B, *engine, *sqlite.Streamer)) {
	for _, f := range OneFiles {
		b.Run("peer="+f.Name, func(b *testing.B) {
			p, streamer, err := f.open()
			require.NoError(b, err)
			e, stop := startEngine(b, p)
			defer stop()
			job(b, e, streamer)
		})
	}
}

// BenchmarkOneFile is BenchmarkEngine on a file.
func BenchmarkOneFile(b *testing.B) {
	for load, interval := range map[string]time.Duration{"20": time.Second / 20, "100": time.Second / 100, "at-once": 0} {
		b.Run("load="+load, func(b *testing.B) {
			eachOneFile(b, func(b *testing.B, e *engine, _ *sqlite.Streamer) { e.measureRuns(b, interval) })
		})
	}
}

// BenchmarkOneFileIdle is BenchmarkEngineIdle on a file.
func BenchmarkOneFileIdle(b *testing.B) {
	eachOneFile(b, func(b *testing.B, _ *engine, _ *sqlite.Streamer) { measureIdle(b) })
}

// BenchmarkOneFileAwait awaits the newest run, which has ended, beside 1,200 events of
// others.
func BenchmarkOneFileAwait(b *testing.B) {
	eachOneFile(b, func(b *testing.B, e *engine, streamer *sqlite.Streamer) {
		ctx := context.Background()
		w := e.workflows[0]
		sender, err := streamer.NewSender(ctx, workflow.RunStateChangeTopic(w.Name()))
		require.NoError(b, err)
		for i := range 1200 {
			require.NoError(b, sender.Send(ctx, "run", int(last), map[memstreamer.Header]string{
				memstreamer.HeaderWorkflowName: w.Name(),
				memstreamer.HeaderForeignID:    strconv.Itoa(i),
				memstreamer.HeaderRunID:        "none",
				memstreamer.HeaderRunState:     strconv.Itoa(int(workflow.RunStateCancelled)),
			}))
		}
		e.running.Add(1)
		runID, err := w.Trigger(ctx, "newest")
		require.NoError(b, err)
		e.running.Wait()
		for b.Loop() {
			_, err := w.Await(ctx, "newest", runID, last)
			require.NoError(b, err)
		}
	})
}
