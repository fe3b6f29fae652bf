package metrics_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// fixed is a Streamer at one moment.
type fixed memstreamer.Stats

func (f fixed) Stats() memstreamer.Stats { return memstreamer.Stats(f) }

// clock is a memstreamer.Clock that only advance moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock {
	return &clock{now: time.Unix(1_700_000_000, 0)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// send sends n events by a sender that is closed again.
func send(t testing.TB, s memstreamer.EventStreamer, topic string, n int) {
	t.Helper()
	sender, err := s.NewSender(t.Context(), topic)
	require.NoError(t, err)
	for range n {
		require.NoError(t, sender.Send(t.Context(), "order", 1, nil))
	}
	require.NoError(t, sender.Close())
}

func open(t testing.TB, s memstreamer.EventStreamer, topic, name string) memstreamer.EventReceiver {
	t.Helper()
	receiver, err := s.NewReceiver(t.Context(), topic, name)
	require.NoError(t, err)
	return receiver
}

// ack receives and acks n events.
func ack(t testing.TB, r memstreamer.EventReceiver, n int) {
	t.Helper()
	for range n {
		_, ack, err := r.Recv(t.Context())
		require.NoError(t, err)
		require.NoError(t, ack())
	}
}

// park has r wait in Recv until the test ends.
func park(t testing.TB, s *memstreamer.StreamConstructor, r memstreamer.EventReceiver) {
	t.Helper()
	parked := func() (n int) {
		for _, receiver := range s.Stats().Receivers {
			n += receiver.Parked
		}
		return n
	}
	before := parked()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = r.Recv(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	require.Eventually(t, func() bool { return parked() == before+1 }, 10*time.Second, time.Millisecond)
}
