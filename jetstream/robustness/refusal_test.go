package robustness_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const noJetStream = "there is no JetStream on the server"

// A server without JetStream is told from one that is not available.
func TestNoJetStream(t *testing.T) {
	o := serverOptions(t)
	o.JetStream = false
	srv := &singleServer{options: o}
	require.NoError(t, srv.start())
	t.Cleanup(srv.stop)
	js := connect(t, srv.url())
	// It logs each request that it repeats.
	var log strings.Builder
	_, err := jetstream.New(t.Context(), js, jetstream.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	require.ErrorContains(t, err, noJetStream)
	require.Empty(t, log.String(), "it tried again")
}

// A server switches its JetStream off when its disk is full.
func TestJetStreamSwitchedOff(t *testing.T) {
	t.Parallel() // it waits most of the time
	srv := startServer(t)
	s := newStreamer(t, connect(t, srv.url()))
	send(t, s, "topic", "1")
	r := newReceiver(t, s, "topic", "name")
	ack := recv(t, r, "1")
	idle := newReceiver(t, s, "topic", "idle")
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.NoError(t, srv.running.ShutdownJetStream())
	for what, call := range map[string]func(context.Context) error{
		"Send": func(ctx context.Context) error { return snd.Send(ctx, "2", 1, nil) },
		"Recv": func(ctx context.Context) error {
			_, _, err := idle.Recv(ctx)
			return err
		},
		"Ack": func(context.Context) error { return ack() },
		"NewReceiver": func(ctx context.Context) error {
			_, err := s.NewReceiver(ctx, "topic", "another")
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), soonest)
			defer cancel()
			assert.ErrorContains(t, within(t, func() error { return call(ctx) }), noJetStream)
		})
	}
}

// A server refuses what exceeds the storage that it may use.
func TestNoRoom(t *testing.T) {
	o := serverOptions(t)
	o.JetStreamMaxStore = 1 << 20
	srv := &singleServer{options: o}
	require.NoError(t, srv.start())
	t.Cleanup(srv.stop)
	s := newStreamer(t, connect(t, srv.url()))
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	for err == nil {
		err = snd.Send(ctx, strings.Repeat("x", 100_000), 1, nil)
	}
	require.ErrorContains(t, err, "the server has no room: free its disk, raise its max_file_store")
	require.NoError(t, recv(t, newReceiver(t, s, "topic", "name"), strings.Repeat("x", 100_000))())
}

// silentDisk is JetStream on a disk that is full: the server answers no publish.
type silentDisk struct{ natsjs.JetStream }

func (silentDisk) PublishMsg(ctx context.Context, _ *nats.Msg, _ ...natsjs.PublishOpt) (*natsjs.PubAck, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestFullDisk(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newStreamer(t, silentDisk{startEmbedded(t)})
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.ErrorContains(t, within(t, func() error { return snd.Send(t.Context(), "1", 1, nil) }), "the server does not store events: its disk may be full")
}
