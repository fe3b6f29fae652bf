package chaos

import (
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/jetstream"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRetention(t *testing.T) {
	s, _ := startStreamer(t, jetstream.WithMaxEvents(2))
	r := newReceiver(t, s, "topic", "name")
	send(t, s, "topic", "1")
	ack := recv(t, r, "1")
	send(t, s, "topic", "2", "3", "4")
	require.NoError(t, ack(), "of an event that is no longer kept")
	receive(t, r, "3", "4")
	recv(t, newReceiver(t, s, "topic", "another"), "3")
}

// A cursor that nothing is asked of goes after its inactivity, and one with a
// Recv that waits does not.
func TestConsumerInactivity(t *testing.T) {
	t.Parallel() // it waits most of the time
	// Long enough for a busy machine to come from NewReceiver to Recv.
	s, js := startStreamer(t, jetstream.WithConsumerInactivity(3*time.Second))
	call := park(t, js, newReceiver(t, s, "topic", "used"))
	require.NoError(t, newReceiver(t, s, "topic", "once").Close())
	var err error
	require.Eventually(t, func() bool {
		_, err = js.Consumer(t.Context(), streamName, "topic@once")
		return err != nil
	}, patience, 10*time.Millisecond)
	require.ErrorIs(t, err, natsjs.ErrConsumerNotFound)
	send(t, s, "topic", "1")
	call.event(t, "1")
}

// A cursor follows the setting when an operator has changed the stream's.
func TestConsumerInactivityChanged(t *testing.T) {
	before, js := startStreamer(t, jetstream.WithConsumerInactivity(time.Hour))
	send(t, before, "topic", "1", "2")
	receive(t, newReceiver(t, before, "topic", "name"), "1")
	cfg := stream(t, js, streamName).CachedInfo().Config
	cfg.ConsumerLimits.InactiveThreshold = 2 * time.Hour
	_, err := js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	after := newStreamer(t, js, jetstream.WithConsumerInactivity(2*time.Hour))
	recv(t, newReceiver(t, after, "topic", "name"), "2")
	assert.Equal(t, 2*time.Hour, consumer(t, js).Config.InactiveThreshold)
}
