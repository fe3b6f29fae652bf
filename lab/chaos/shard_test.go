package chaos

import (
	"testing"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A shard passes over the events of others in each process, and is refused in each if
// the consumer has another. What it has passed over stays so.
func TestShard(t *testing.T) {
	here, there, js := startTwo(t)
	r := newReceiver(t, here, "topic", "name", memstreamer.Shard(1, 4))
	other := newReceiver(t, there, "topic", "name", memstreamer.Shard(1, 4))
	for _, s := range []*jetstream.Streamer{here, there} {
		for _, opts := range [][]memstreamer.ReceiverOption{nil, {memstreamer.Shard(2, 4)}, {memstreamer.Shard(1, 5)}} {
			_, err := s.NewReceiver(t.Context(), "topic", "name", opts...)
			require.ErrorIs(t, err, memstreamer.ErrShard)
			require.ErrorContains(t, err, "was made with Shard(1, 4)")
		}
	}
	send(t, here, "topic", "1", "2", "3", "4", "5", "6", "7")
	receive(t, r, "1")
	recv(t, r, "5")
	require.NoError(t, r.Close())
	receive(t, other, "5")
	waiting := park(t, js, other)
	require.Zero(t, stats(t, here).Receivers[0].Lag, "it has passed over all that is there")
	send(t, here, "topic", "8", "9")
	require.NoError(t, waiting.event(t, "9")())
	require.NoError(t, other.Close())

	receivers := stats(t, here).Receivers
	require.Len(t, receivers, 1)
	assert.EqualValues(t, 10, receivers[0].Acked, "by the server: all that it delivered, 5 twice")
	assert.EqualValues(t, 9, receivers[0].AckedID)

	require.NoError(t, here.Forget(t.Context(), "topic", "name"))
	receive(t, newReceiver(t, there, "topic", "name", memstreamer.Shard(2, 4)), "2", "6")
}

// A cursor that was made without is whole, and goes on so.
func TestShardOfAnother(t *testing.T) {
	s, _ := startStreamer(t)
	newReceiver(t, s, "topic", "name")
	_, err := s.NewReceiver(t.Context(), "topic", "name", memstreamer.Shard(1, 4))
	require.ErrorIs(t, err, memstreamer.ErrShard)
	send(t, s, "topic", "1", "2")
	receive(t, newReceiver(t, s, "topic", "name", memstreamer.Shard(0, 1)), "1", "2")
}

// An ephemeral receiver whose consumer is gone has its shard in the next one.
func TestShardEphemeralGone(t *testing.T) {
	s, js := startStreamer(t)
	send(t, s, "topic", "1", "2", "3")
	r := newReceiver(t, s, "topic", "name", memstreamer.Ephemeral(), memstreamer.Shard(1, 2))
	receive(t, r, "1")
	recv(t, r, "3")
	deleteConsumer(t, js)
	receive(t, r, "3")
	send(t, s, "topic", "4")
	call := park(t, js, r)
	deleteConsumer(t, js)
	parked(t, js, 1)
	assert.EqualValues(t, 5, consumer(t, js).Config.OptStartSeq, "after what it has passed over")
	send(t, s, "topic", "5")
	require.NoError(t, call.event(t, "5")())
}

// The server keeps the shard of a consumer.
func TestShardRestart(t *testing.T) {
	dir := t.TempDir()
	s, stop := run(t, dir)
	r := newReceiver(t, s, "topic", "name", memstreamer.Shard(0, 3))
	send(t, s, "topic", "1", "2", "3", "4", "5")
	receive(t, r, "3")
	stop()

	s, stop = run(t, dir)
	defer stop()
	send(t, s, "topic", "6", "7")
	_, err := s.NewReceiver(t.Context(), "topic", "name", memstreamer.Shard(1, 3))
	require.ErrorIs(t, err, memstreamer.ErrShard)
	receive(t, newReceiver(t, s, "topic", "name", memstreamer.Shard(0, 3)), "6")
}
