package fulfilment_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// What a stop loses in memory: the engine takes an event out of its outbox once it
// was sent, so that from then on the event is in the streamer alone. The figures:
//
//	go test -v -run TestARestartInMemory ./examples/workflow/fulfilment
func TestARestartInMemoryLosesWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fulfilment.NewMemoryStore()
		var acks atomic.Int64
		half := make(chan struct{})
		e := newEngine(t, memstreamer.New(), store, 0, func(call string) error {
			// Half of all acks of 300 orders, and a step takes a moment.
			if call == "Ack" && acks.Add(1) == 300*int64(consumers)/2 {
				close(half)
			}
			if call == "Save" {
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

		e = newEngine(t, memstreamer.New(), store, 0, nothing)
		unfinished := e.InProgress()
		stop = e.run()
		e.requireNotDone()
		time.Sleep(time.Hour)
		stop()
		stuck := e.InProgress()
		t.Logf("of 300 orders, stopped half-way and started again with a new streamer, %d were unfinished and %d of them are stuck", unfinished, stuck)
		require.NotZero(t, stuck)

		// Sent again from the records, they are not.
		streamer := memstreamer.New()
		records, err := store.All(t.Context())
		require.NoError(t, err)
		for _, record := range records {
			sender, err := nothing.streamer(streamer).NewSender(t.Context(), record.Status.Topic())
			require.NoError(t, err)
			event := record.Event()
			require.NoError(t, sender.Send(t.Context(), event.ForeignID, event.Type, event.Headers))
		}
		e = newEngine(t, streamer, store, 0, nothing)
		defer e.run()()
		e.requireDone(300)
	})
}
