package fulfilment_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// What a stop loses in memory: the engine deletes an event from its outbox once it
// was sent, so that from then on the event is in the streamer alone. The figures:
//
//	go test -v -run TestARestartInMemory ./examples/workflow/fulfilment
func TestARestartInMemoryLosesWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fulfilment.NewMemoryStore()
		var acks atomic.Int64
		half := make(chan struct{})
		e := newEngine(t, newStreamer(), store, func(what string) error {
			// Half of all acks of 300 orders, and a step takes a moment.
			if what == "Ack" && acks.Add(1) == 300*int64(consumers)/2 {
				close(half)
			}
			if what == "step" {
				time.Sleep(time.Millisecond)
			}
			return nil
		})
		stop := e.run()
		for i := range 300 {
			e.submit(fmt.Sprint(i))
		}
		<-half
		stop()
		unfinished, err := store.Unfinished(t.Context())
		require.NoError(t, err)

		e = newEngine(t, newStreamer(), store, nil)
		stop = e.run()
		e.requireNotDone()
		time.Sleep(time.Hour)
		stop()
		stuck, err := store.Unfinished(t.Context())
		require.NoError(t, err)
		t.Logf("of 300 orders, stopped half-way and started again with a new streamer, %d were unfinished and %d of them are stuck", len(unfinished), len(stuck))
		require.NotEmpty(t, stuck)

		// Sent again from the records, they are not.
		streamer := newStreamer()
		for _, record := range stuck {
			sender, err := streamer.NewSender(t.Context(), record.Status.Topic())
			require.NoError(t, err)
			event := record.Event()
			require.NoError(t, sender.Send(t.Context(), event.ForeignID, event.Type, event.Headers))
		}
		e = newEngine(t, streamer, store, nil)
		defer e.run()()
		e.requireDelivered()
	})
}
