package chaos

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/jetstream"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Senders whose message IDs are stuck have another server lead the stream, once
// for all of them.
func TestStuckIDs(t *testing.T) {
	t.Parallel()
	const senders = 8
	js := connect(t, startCluster(t))
	newStreamer(t, js, jetstream.WithReplicas(3)) // makes the stream
	leader, err := leaderOf(t.Context(), js)
	require.NoError(t, err)
	stepdowns, err := js.Conn().SubscribeSync("$JS.API.STREAM.LEADER.STEPDOWN." + streamName)
	require.NoError(t, err)

	// One server takes each message for one in process, as long as it leads the stream.
	s := newStreamer(t, fake{JetStream: js, send: func(ctx context.Context) error {
		if now, err := leaderOf(ctx, js); err != nil || now != leader {
			return err
		}
		return &natsjs.APIError{Code: 409, ErrorCode: 10158, Description: "duplicate message id is in process"}
	}}, jetstream.WithReplicas(3))
	sent := make(chan error, senders)
	for i := range senders {
		snd, err := s.NewSender(t.Context(), "topic")
		require.NoError(t, err)
		go func() { sent <- snd.Send(t.Context(), strconv.Itoa(i), 1, nil) }()
	}
	for range senders {
		require.NoError(t, await(t, sent, patience))
	}
	assert.EqualValues(t, senders, messages(t, js, streamName))
	require.NoError(t, js.Conn().Flush())
	requests, _, err := stepdowns.Pending()
	require.NoError(t, err)
	assert.Equal(t, 1, requests)
}

// A Send that waits for a leader of the stream is repeated when one is elected. Three
// attempts without an answer would have it fail.
func TestSendToNextLeader(t *testing.T) {
	t.Parallel() // it waits most of the time
	const unconfirmed = 3
	sends := make(chan int, 10)
	js := fake{JetStream: startEmbedded(t), send: func(ctx context.Context) error {
		n := len(sends) + 1
		sends <- n
		if n <= unconfirmed {
			return silence(ctx)
		}
		return nil
	}}
	s := newStreamer(t, js)
	snd := newSender(t, s, "topic")
	sent := async(func() error { return snd.Send(t.Context(), "1", 1, nil) })
	require.Eventually(t, func() bool { return len(sends) == unconfirmed }, patience, time.Millisecond)
	require.NoError(t, js.Conn().Publish("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED."+streamName, nil))
	require.NoError(t, await(t, sent, soonest))
}
