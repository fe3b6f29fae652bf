package sqlitestore

import (
	"strconv"
	"testing"

	"github.com/luno/workflow"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// TestDecodeEvent has events of every RunState be those that the engine sends. It fails
// when the engine encodes them in another way.
func TestDecodeEvent(t *testing.T) {
	const name, foreignID, runID = "orders of a shop", "\x00, ü", "run"
	for state := workflow.RunStateUnknown; state == 0 || state.Valid(); state++ {
		for _, status := range []int{0, 1, 300, -1} {
			topic := workflow.Topic(name, status)
			switch state {
			case workflow.RunStatePaused, workflow.RunStateCancelled, workflow.RunStateCompleted, workflow.RunStateDataDeleted:
				topic = workflow.RunStateChangeTopic(name)
			case workflow.RunStateRequestedDataDeleted:
				topic = workflow.DeleteTopic(name)
			}
			data, err := workflow.MakeOutboxEventData(workflow.Record{
				WorkflowName: name, ForeignID: foreignID, RunID: runID, RunState: state, Status: status, Meta: workflow.Meta{Version: 7},
			})
			require.NoError(t, err)
			got, err := decodeEvent(data.Data)
			require.NoError(t, err)
			require.Equal(t, &event{runID: runID, status: status, headers: map[memstreamer.Header]string{
				memstreamer.HeaderTopic:         topic,
				memstreamer.HeaderWorkflowName:  name,
				memstreamer.HeaderForeignID:     foreignID,
				memstreamer.HeaderRunID:         runID,
				memstreamer.HeaderRunState:      strconv.Itoa(int(state)),
				memstreamer.HeaderRecordVersion: "7",
			}}, got)
			require.Equal(t, topic, got.topic())
		}
	}
}

// TestDecodeEventRefuses what is cut off or is something else.
func TestDecodeEventRefuses(t *testing.T) {
	data, err := workflow.MakeOutboxEventData(*new(workflow.Record))
	require.NoError(t, err)
	_, err = decodeEvent(data.Data)
	require.ErrorContains(t, err, "it has no run or no topic")
	data, err = workflow.MakeOutboxEventData(workflow.Record{WorkflowName: "orders", RunID: "run"})
	require.NoError(t, err)
	for n := range data.Data {
		_, err := decodeEvent(data.Data[:n])
		require.Error(t, err)
	}
}
