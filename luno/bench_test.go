package luno_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/luno"
)

// BenchmarkAwait is an Await of a run that has finished, past the events of other runs
// that its topic got within the lookback.
func BenchmarkAwait(b *testing.B) {
	for _, others := range []int{0, 1200} {
		b.Run(fmt.Sprintf("events=%d", others), func(b *testing.B) {
			streamer := memstreamer.New()
			sender, err := streamer.NewSender(b.Context(), workflow.RunStateChangeTopic("orders"))
			require.NoError(b, err)
			for i := range others {
				require.NoError(b, sender.Send(b.Context(), "run", 2, map[memstreamer.Header]string{
					memstreamer.HeaderWorkflowName: "orders",
					memstreamer.HeaderForeignID:    strconv.Itoa(i),
					memstreamer.HeaderRunID:        "run",
					memstreamer.HeaderRunState:     strconv.Itoa(int(workflow.RunStateCompleted)),
				}))
			}
			builder := workflow.NewBuilder[object, status]("orders")
			builder.AddStep(1, next, 2)
			w := builder.Build(luno.Streamer(streamer), luno.ParkOutbox(memrecordstore.New(), 0), memrolescheduler.New())
			w.Run(b.Context())
			defer w.Stop()
			runID, err := w.Trigger(b.Context(), "order")
			require.NoError(b, err)
			for b.Loop() {
				_, err := w.Await(b.Context(), "order", runID, 2)
				require.NoError(b, err)
			}
		})
	}
}
