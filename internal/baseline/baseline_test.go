package baseline_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/baseline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// each runs test on both streamers. Its context ends a test that hangs.
func each(t *testing.T, test func(t *testing.T, ctx context.Context, s memstreamer.EventStreamer)) {
	for name, newStreamer := range map[string]func() memstreamer.EventStreamer{
		"polling": baseline.NewPolling,
		"parking": baseline.NewParking,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			test(t, ctx, newStreamer())
		})
	}
}

func send(t *testing.T, ctx context.Context, s memstreamer.EventStreamer, topic string, foreignIDs ...string) {
	sender, err := s.NewSender(ctx, topic)
	require.NoError(t, err)
	for _, id := range foreignIDs {
		require.NoError(t, sender.Send(ctx, id, 1, nil))
	}
}

func receiver(t *testing.T, ctx context.Context, s memstreamer.EventStreamer, topic, name string, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
	r, err := s.NewReceiver(ctx, topic, name, opts...)
	require.NoError(t, err)
	return r
}

func recv(t *testing.T, ctx context.Context, r memstreamer.EventReceiver) (*memstreamer.Event, memstreamer.Ack) {
	event, ack, err := r.Recv(ctx)
	require.NoError(t, err)
	return event, ack
}

func TestTopicHeaderComesBeforeTheSenders(t *testing.T) {
	each(t, func(t *testing.T, ctx context.Context, s memstreamer.EventStreamer) {
		sender, err := s.NewSender(ctx, "a")
		require.NoError(t, err)
		require.NoError(t, sender.Send(ctx, "x", 1, map[memstreamer.Header]string{memstreamer.HeaderTopic: "b"}))
		event, _ := recv(t, ctx, receiver(t, ctx, s, "b", "n"))
		assert.Equal(t, "x", event.ForeignID)
	})
}

func TestResumesWhereItWasAcked(t *testing.T) {
	each(t, func(t *testing.T, ctx context.Context, s memstreamer.EventStreamer) {
		send(t, ctx, s, "a", "1", "2", "3")
		r := receiver(t, ctx, s, "a", "n")
		_, late := recv(t, ctx, r)
		require.NoError(t, late())
		_, ack := recv(t, ctx, r)
		require.NoError(t, ack())
		require.NoError(t, late(), "moves no cursor back")
		recv(t, ctx, r)
		require.NoError(t, r.Close())

		_, _, err := r.Recv(ctx)
		require.ErrorIs(t, err, memstreamer.ErrClosed)
		event, _ := recv(t, ctx, receiver(t, ctx, s, "a", "n"))
		assert.Equal(t, "3", event.ForeignID, "was not acked")
	})
}

func TestStreamFromLatest(t *testing.T) {
	each(t, func(t *testing.T, ctx context.Context, s memstreamer.EventStreamer) {
		send(t, ctx, s, "a", "old")
		r := receiver(t, ctx, s, "a", "n", memstreamer.StreamFromLatest())
		send(t, ctx, s, "a", "new")
		event, _ := recv(t, ctx, r)
		assert.Equal(t, "new", event.ForeignID)
	})
}

func TestPollingRecvReturns(t *testing.T) {
	waitingRecvReturns(t, baseline.NewPolling(), func() {})
}

func TestParkedRecvReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waitingRecvReturns(t, baseline.NewParking(), synctest.Wait)
	})
}

// waitingRecvReturns has three receivers wait, each for something else. When
// settle returns, those that park are parked.
func waitingRecvReturns(t *testing.T, s memstreamer.EventStreamer, settle func()) {
	type result struct {
		event *memstreamer.Event
		err   error
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	wait := func(ctx context.Context, topic string) <-chan result {
		r := receiver(t, ctx, s, topic, "n")
		results := make(chan result, 1)
		go func() {
			event, _, err := r.Recv(ctx)
			results <- result{event, err}
		}()
		return results
	}
	cancelled, cancelOne := context.WithCancel(ctx)
	forEvent, forCancel, forClose := wait(ctx, "event"), wait(cancelled, "cancel"), wait(ctx, "close")

	settle()
	send(t, ctx, s, "event", "x")
	got := <-forEvent
	require.NoError(t, got.err)
	assert.Equal(t, "x", got.event.ForeignID)

	settle()
	cancelOne()
	require.ErrorIs(t, (<-forCancel).err, context.Canceled)

	settle()
	require.NoError(t, s.(io.Closer).Close())
	require.ErrorIs(t, (<-forClose).err, memstreamer.ErrClosed)
}
