package robustness_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
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

// failing is JetStream where requests may fail before they reach the server.
type failing struct {
	natsjs.JetStream
	publish func(context.Context) error
	stream  func(context.Context) error // nil if it does not fail
}

func (f failing) PublishMsg(ctx context.Context, m *nats.Msg, opts ...natsjs.PublishOpt) (*natsjs.PubAck, error) {
	if err := f.publish(ctx); err != nil {
		return nil, err
	}
	return f.JetStream.PublishMsg(ctx, m, opts...)
}

func (f failing) Stream(ctx context.Context, name string) (natsjs.Stream, error) {
	if f.stream != nil {
		if err := f.stream(ctx); err != nil {
			return nil, err
		}
	}
	return f.JetStream.Stream(ctx, name)
}

// silence is what a request comes to that is not answered.
func silence(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// A server whose disk is full answers, and no publish.
func TestFullDisk(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newStreamer(t, failing{JetStream: startEmbedded(t), publish: silence})
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	err = within(t, func() error { return snd.Send(t.Context(), "1", 1, nil) })
	require.ErrorContains(t, err, "the server does not store events: its disk may be full")
}

// A server that answers nothing at all is not taken for one whose disk is full.
func TestSendOutlastsSilence(t *testing.T) {
	t.Parallel() // it waits most of the time
	sends := 0
	silent := func(ctx context.Context) error {
		if 1 <= sends && sends <= 3 {
			return silence(ctx)
		}
		return nil
	}
	js := failing{JetStream: startEmbedded(t), stream: silent}
	js.publish = func(ctx context.Context) error {
		sends++
		return silent(ctx)
	}
	send(t, newStreamer(t, js), "topic", "1")
	assert.Equal(t, 4, sends)
}

// A server that stops has no JetStream some time before it closes its connections.
func TestSendOutlastsStop(t *testing.T) {
	t.Parallel() // it waits most of the time
	sends := 0
	js := failing{JetStream: startEmbedded(t), publish: func(context.Context) error {
		if sends++; sends <= 2 {
			return nats.ErrNoResponders
		}
		return nil
	}}
	send(t, newStreamer(t, js), "topic", "1")
	assert.Equal(t, 3, sends)
}

// A server that could not make a stream's directory is asked again. It could not
// while it removed the account's, after the account's last stream: here a file has
// that name, which the server removes as well.
func TestNewOutlastsLastStream(t *testing.T) {
	dir := t.TempDir()
	js, _ := embed(t, dir)
	account := filepath.Join(dir, "jetstream", "$G")
	require.NoError(t, os.RemoveAll(account))
	require.NoError(t, os.WriteFile(account, nil, 0o600))
	var log strings.Builder
	newStreamer(t, js, jetstream.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	assert.Contains(t, log.String(), "error creating store for stream")
}
