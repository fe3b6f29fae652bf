package chaos

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// TestPullAgain ends pull requests in each way in which one may end without an
// event. A Recv that waits sends the next.
func TestPullAgain(t *testing.T) {
	s, js := startStreamer(t)
	requests := pullRequests(t, js, "topic@name")
	call := start(t.Context(), newReceiver(t, s, "topic", "name"))
	status := func(pull *nats.Msg, code, description string) {
		t.Helper()
		require.NoError(t, js.Conn().PublishMsg(&nats.Msg{
			Subject: pull.Reply, Header: nats.Header{"Status": {code}, "Description": {description}},
		}))
	}
	first := await(t, requests, soonest)
	status(first, "100", "Idle Heartbeat")
	status(first, "408", "Request Timeout")
	second := await(t, requests, soonest)
	status(first, "409", "of a pull request that was given up")
	status(second, "409", "Leadership Change")
	third := await(t, requests, soonest)
	status(third, "503", "")
	await(t, requests, soonest)

	// A server that has no pull request any more, and does not say so.
	for _, advisory := range []string{
		"CONSUMER.LEADER_ELECTED." + streamName + ".topic@name",
		"CONSUMER.DELETED." + streamName + ".topic@name",
		"STREAM.CREATED." + streamName,
		"STREAM.DELETED." + streamName,
	} {
		require.NoError(t, js.Conn().Publish("$JS.EVENT.ADVISORY."+advisory, nil))
		await(t, requests, soonest)
	}
	require.Empty(t, requests)
	send(t, s, "topic", "1")
	call.event(t, "1")
}

// A user who may not subscribe to advisories finds out by missing heartbeats that a
// pull request is lost.
func TestNoAdvisories(t *testing.T) {
	t.Parallel() // it waits most of the time
	srv := startServer(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "user", Password: "password", Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Deny: []string{"$JS.EVENT.>"}},
		}}}
	})
	refused := make(chan error, 10)
	js := connect(t, srv.ClientURL(), nats.UserInfo("user", "password"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		refused <- err
	}))
	lost := make(chan *nats.Msg, 10)
	_, err := js.Conn().ChanSubscribe("lost.>", lost)
	require.NoError(t, err)
	s := newStreamer(t, fake{JetStream: js, prefix: "lost"})
	require.ErrorIs(t, await(t, refused, patience), nats.ErrPermissionViolation)
	call := start(t.Context(), newReceiver(t, s, "topic", "name"))
	await(t, lost, soonest)
	send(t, s, "topic", "1")
	again := await(t, lost, patience)
	require.NoError(t, js.Conn().PublishRequest(strings.Replace(again.Subject, "lost", "$JS.API", 1), again.Reply, again.Data))
	require.NoError(t, call.event(t, "1")())
}

// TestDeliveriesWait has more than 64 MB wait for a streamer that is busy. nats.go
// would drop what comes after them, and say so by LastError.
func TestDeliveriesWait(t *testing.T) {
	t.Parallel()
	js := startEmbedded(t)
	requests := pullRequests(t, js, "topic@name")
	log, logged := io.Pipe()
	defer logged.Close()
	s := newStreamer(t, js, jetstream.WithLogger(slog.New(slog.NewTextHandler(logged, nil))))
	call := start(t.Context(), newReceiver(t, s, "topic", "name"))
	inbox := await(t, requests, soonest).Reply
	// The streamer logs this, and nobody reads its log.
	require.NoError(t, js.Conn().PublishRequest(inbox, "reply", nil))
	body := make([]byte, server.MAX_PAYLOAD_SIZE)
	for range 65 {
		require.NoError(t, js.Conn().Publish(inbox+"0", body))
	}
	// By a streamer that does not log: a Send that the server answers late does.
	send(t, newStreamer(t, js), "topic", "1")
	require.Eventually(t, func() bool { return consumer(t, js).NumAckPending == 1 }, patience, time.Millisecond)
	require.NoError(t, js.Conn().Flush())
	require.NoError(t, js.Conn().LastError())
	go func() { _, _ = io.Copy(io.Discard, log) }()
	call.event(t, "1")
}
