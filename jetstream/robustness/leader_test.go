package robustness_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStepDown changes the leader of a consumer whose Recv waits, again and
// again. The pull request is gone each time, and nobody says so.
func TestStepDown(t *testing.T) {
	const (
		names  = 8
		rounds = 10
	)
	js := startCluster(t).connect(t)
	s := newStreamer(t, js, jetstream.WithReplicas(3))
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	ends := make(chan error, names)
	got := make(chan string, names)
	for n := range names {
		r := newReceiver(t, s, "topic", fmt.Sprint("name-", n))
		go func() {
			for range rounds {
				e, ack, err := r.Recv(t.Context())
				if err == nil {
					err = ack()
				}
				if err != nil {
					ends <- err
					return
				}
				got <- e.ForeignID
			}
			ends <- r.Close()
		}()
	}
	longest := time.Duration(0)
	for round := range rounds {
		parked(t, js, names)
		for n := range names {
			stepDown(t, js, fmt.Sprint("topic@name-", n))
		}
		begin := time.Now()
		require.NoError(t, snd.Send(t.Context(), fmt.Sprint(round), 1, nil))
		for range names {
			require.Equal(t, fmt.Sprint(round), await(t, got, soonest))
		}
		longest = max(longest, time.Since(begin))
	}
	for range names {
		require.NoError(t, await(t, ends, soonest))
	}
	t.Logf("%d stepdowns, the longest wait %v", names*rounds, longest.Round(time.Millisecond))
}

// stepDown has another server lead a consumer.
func stepDown(t testing.TB, js natsjs.JetStream, consumer string) {
	t.Helper()
	_, err := js.Conn().Request("$JS.API.CONSUMER.LEADER.STEPDOWN."+streamName+"."+consumer, nil, patience)
	require.NoError(t, err)
}

// A user who may not subscribe to advisories gets events all the same.
func TestNoAdvisories(t *testing.T) {
	c := startCluster(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "user", Password: "password", Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Deny: []string{"$JS.EVENT.>"}},
		}}}
	})
	refused := make(chan error, 10)
	js := c.connect(t, nats.UserInfo("user", "password"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		refused <- err
	}))
	s := newStreamer(t, js, jetstream.WithReplicas(3))
	r := newReceiver(t, s, "topic", "name")
	assert.ErrorIs(t, await(t, refused, patience), nats.ErrPermissionViolation)
	call := start(t.Context(), r)
	parked(t, js, 1)
	send(t, s, "topic", "1", "2")
	got := await(t, call, patience)
	require.NoError(t, got.err)
	require.NoError(t, got.ack())
	require.NoError(t, recv(t, r, "2")())
}
