package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/luno"
)

// TestAwait awaits runs that have finished, twice at once, on every streamer.
func TestAwait(t *testing.T) {
	for name, open := range streamers {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			finished := make(chan string, 1)
			b := workflow.NewBuilder[order, stage]("orders")
			b.AddStep(placed, func(context.Context, *orderRun) (stage, error) { return charged, nil }, charged)
			b.AddStep(charged, func(context.Context, *orderRun) (stage, error) { return shipped, nil }, shipped)
			b.OnComplete(func(_ context.Context, r *workflow.TypedRecord[order, stage]) error {
				finished <- r.RunID
				return nil
			})
			w := b.Build(luno.Streamer(open(t)), luno.ParkOutbox(memrecordstore.New(), 0), memrolescheduler.New())
			w.Run(ctx)
			defer w.Stop()
			for i := range 5 {
				foreignID := fmt.Sprint("order ", i)
				runID, err := w.Trigger(ctx, foreignID)
				require.NoError(t, err)
				select {
				case got := <-finished:
					require.Equal(t, runID, got)
				case <-ctx.Done():
					require.NoError(t, ctx.Err())
				}
				var awaits sync.WaitGroup
				for range 2 {
					for _, s := range []stage{charged, shipped} {
						awaits.Go(func() {
							r, err := w.Await(ctx, foreignID, runID, s)
							if err != nil {
								t.Error(s, err)
							} else if r.RunID != runID || r.Status != shipped {
								t.Errorf("got run %s, at %v, want run %s, at %v", r.RunID, r.Status, runID, shipped)
							}
						})
					}
				}
				awaits.Wait()
			}
		})
	}
}
