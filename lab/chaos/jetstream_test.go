package chaos

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/memstreamer/memstreamer/streamertest"
	"github.com/nats-io/nats-server/v2/server"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is the deadline for what a test waits for. It is longer than a
// cluster takes to elect a leader, and than AckWait.
const patience = time.Minute

// soon is the deadline for what has to happen without waiting for AckWait.
const soon = jetstream.AckWait * 2 / 3

// soonest is the deadline for what has to happen before the server's heartbeats
// are missed, for 10 s.
const soonest = 8 * time.Second

// streamName is the default's.
const streamName = "MEMSTREAMER"

// embed starts an embedded server on dir, which ends with t if not stopped before.
func embed(t testing.TB, dir string) (js natsjs.JetStream, stop func() error) {
	t.Helper()
	conn, stop, err := embedded.Start(dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, stop()) })
	js, err = natsjs.New(conn)
	require.NoError(t, err)
	return js, stop
}

func startEmbedded(t testing.TB) natsjs.JetStream {
	t.Helper()
	js, _ := embed(t, t.TempDir())
	return js
}

// startStreamer returns a streamer on an embedded server of its own.
func startStreamer(t testing.TB, opts ...jetstream.Option) (*jetstream.Streamer, natsjs.JetStream) {
	t.Helper()
	js := startEmbedded(t)
	return newStreamer(t, js, opts...), js
}

func newStreamer(t testing.TB, js natsjs.JetStream, opts ...jetstream.Option) *jetstream.Streamer {
	t.Helper()
	s, err := jetstream.New(t.Context(), js, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func newReceiver(t testing.TB, s memstreamer.EventStreamer, topic, name string, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
	t.Helper()
	r, err := s.NewReceiver(t.Context(), topic, name, opts...)
	require.NoError(t, err)
	return r
}

func newSender(t testing.TB, s memstreamer.EventStreamer, topic string) memstreamer.EventSender {
	t.Helper()
	snd, err := s.NewSender(t.Context(), topic)
	require.NoError(t, err)
	return snd
}

func send(t testing.TB, s memstreamer.EventStreamer, topic string, foreignIDs ...string) {
	t.Helper()
	snd := newSender(t, s, topic)
	for _, foreignID := range foreignIDs {
		require.NoError(t, snd.Send(t.Context(), foreignID, 1, nil))
	}
	require.NoError(t, snd.Close())
}

func TestContractEmbedded(t *testing.T) {
	t.Parallel()
	for name, storage := range map[string]natsjs.StorageType{"Memory": natsjs.MemoryStorage, "File": natsjs.FileStorage} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := startEmbedded(t)
			streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
				return newStreamer(t, js, jetstream.WithStorage(storage))
			}, streamertest.WithDeadline(soon), streamertest.WithQuiet(20*time.Millisecond))
		})
	}
}

func TestContractCluster(t *testing.T) {
	t.Parallel()
	js := connect(t, startCluster(t))
	// A server that deletes its last stream removes the account's directory some
	// time later, and cannot make a stream in that moment: this one stays.
	newStreamer(t, js, jetstream.WithStream("KEPT"), jetstream.WithReplicas(3))
	streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
		// A stream for each subtest, deleted after it: a cluster has to keep up
		// every consumer that there ever was.
		stream := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience) // the machine may be busy
			defer cancel()
			assert.NoError(t, js.DeleteStream(ctx, stream))
		})
		return newStreamer(t, js, jetstream.WithStream(stream), jetstream.WithReplicas(3))
	}, streamertest.WithDeadline(patience), streamertest.WithQuiet(50*time.Millisecond))
}

func TestNewRefuses(t *testing.T) {
	js := startEmbedded(t)
	for want, opts := range map[string][]jetstream.Option{
		"option 2 of 2 is nil":   {jetstream.WithReplicas(1), nil},
		"WithStream: \"\"":       {jetstream.WithStream("")},
		"WithStream: \"a.b\"":    {jetstream.WithStream("a.b")},
		"WithReplicas: 0":        {jetstream.WithReplicas(0)},
		"WithReplicas: 6":        {jetstream.WithReplicas(6)},
		"WithStorage: ":          {jetstream.WithStorage(natsjs.StorageType(7))},
		"WithMaxAge: 0s":         {jetstream.WithMaxAge(0)},
		"WithMaxBytes: -1":       {jetstream.WithMaxBytes(-1)},
		"WithMaxEvents: 0":       {jetstream.WithMaxEvents(0)},
		"WithConsumerInactivity": {jetstream.WithConsumerInactivity(0)},
		"WithAckTimeout: 0s":     {jetstream.WithAckTimeout(0)},
		"the logger is nil":      {jetstream.WithLogger(nil)},
	} {
		t.Run(want, func(t *testing.T) {
			s, err := jetstream.New(t.Context(), js, opts...)
			assert.Nil(t, s)
			assert.ErrorContains(t, err, want)
		})
	}
	t.Run("no JetStream", func(t *testing.T) {
		_, err := jetstream.New(t.Context(), nil)
		assert.ErrorContains(t, err, "js is nil")
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := jetstream.New(ctx, js)
		assert.Equal(t, context.Canceled, err)
	})
	t.Run("replicas without a cluster", func(t *testing.T) {
		_, err := jetstream.New(t.Context(), js, jetstream.WithReplicas(3))
		assert.ErrorContains(t, err, "replicas")
	})
}

func TestNewTwice(t *testing.T) {
	js := startEmbedded(t)
	opts := []jetstream.Option{
		jetstream.WithStream("ORDERS"), jetstream.WithStorage(natsjs.MemoryStorage),
		jetstream.WithMaxAge(time.Hour), jetstream.WithMaxBytes(1 << 20), jetstream.WithMaxEvents(1000),
		jetstream.WithConsumerInactivity(time.Hour), jetstream.WithLogger(slog.New(slog.DiscardHandler)),
	}
	first := newStreamer(t, js, opts...)
	second := newStreamer(t, js, opts...)
	send(t, first, "topic", "event")
	receive(t, newReceiver(t, second, "topic", "name"), "event")

	for want, opt := range map[string]jetstream.Option{
		"replicas is 1 and not 3":                  jetstream.WithReplicas(3),
		"storage is Memory and not File":           jetstream.WithStorage(natsjs.FileStorage),
		"max age is 1h0m0s and not 2h0m0s":         jetstream.WithMaxAge(2 * time.Hour),
		"max bytes is 1048576 and not 1":           jetstream.WithMaxBytes(1),
		"max messages is 1000 and not 2":           jetstream.WithMaxEvents(2),
		"consumer inactivity is 1h0m0s and not 1s": jetstream.WithConsumerInactivity(time.Second),
	} {
		t.Run(want, func(t *testing.T) {
			_, err := jetstream.New(t.Context(), js, append(opts, opt)...)
			require.ErrorContains(t, err, want)
			assert.Equal(t, 1, strings.Count(err.Error(), " and not "), "it names more than what differs: %v", err)
		})
	}
	t.Run("somebody else's stream", func(t *testing.T) {
		_, err := js.CreateStream(t.Context(), natsjs.StreamConfig{
			Name: "OTHER", Subjects: []string{"other"}, Retention: natsjs.WorkQueuePolicy, Discard: natsjs.DiscardNew,
			MaxMsgsPerSubject: 1, Duplicates: time.Second, NoAck: true,
		})
		require.NoError(t, err)
		_, err = jetstream.New(t.Context(), js, jetstream.WithStream("OTHER"))
		for _, name := range []string{"subjects", "retention policy", "discard policy", "max messages per subject", "duplicate window", "no ack"} {
			assert.ErrorContains(t, err, name)
		}
	})
}

// A server may be reached under another name of its API.
func TestAPIPrefix(t *testing.T) {
	srv := startServer(t, func(o *server.Options) { o.JetStreamDomain = "hub" })
	conn := connect(t, srv.ClientURL()).Conn()
	domain, err := natsjs.NewWithDomain(conn, "hub")
	require.NoError(t, err)
	prefix, err := natsjs.NewWithAPIPrefix(conn, "$JS.hub.API.")
	require.NoError(t, err)
	for name, js := range map[string]natsjs.JetStream{"domain": domain, "prefix": prefix} {
		s := newStreamer(t, js)
		send(t, s, name, "1")
		receive(t, newReceiver(t, s, name, "name"), "1")
	}
}
