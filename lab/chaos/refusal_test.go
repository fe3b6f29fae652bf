package chaos

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const noJetStream = "there is no JetStream on the server"

// A server without JetStream is told from one that is not available.
func TestNoJetStream(t *testing.T) {
	srv := startServer(t, func(o *server.Options) { o.JetStream = false })
	js := connect(t, srv.ClientURL())
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
	s := newStreamer(t, connect(t, srv.ClientURL()))
	send(t, s, "topic", "1")
	r := newReceiver(t, s, "topic", "name")
	ack := recv(t, r, "1")
	idle := newReceiver(t, s, "topic", "idle")
	snd := newSender(t, s, "topic")
	require.NoError(t, srv.ShutdownJetStream())
	all := calls(nil, s, snd, idle)
	all["Ack"] = func(context.Context) error { return ack() }
	for _, what := range []string{"Send", "Recv", "Ack", "NewReceiver"} {
		call := all[what]
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
	srv := startServer(t, func(o *server.Options) { o.JetStreamMaxStore = 1 << 20 })
	s := newStreamer(t, connect(t, srv.ClientURL()))
	snd, large := newSender(t, s, "topic"), strings.Repeat("x", 100_000)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	var err error
	for err == nil {
		err = snd.Send(ctx, large, 1, nil)
	}
	require.ErrorContains(t, err, "the server has no room: free its disk, raise its max_file_store")
	receive(t, newReceiver(t, s, "topic", "name"), large)
}

// What is not an event holds up its topic until it is deleted.
func TestNotAnEvent(t *testing.T) {
	s, js := startStreamer(t)
	r := newReceiver(t, s, "topic", "name")
	published, err := js.Publish(t.Context(), streamName+".topic", []byte("not JSON"))
	require.NoError(t, err)
	send(t, s, "topic", "1")
	for range 2 {
		require.ErrorContains(t, start(t.Context(), r).err(t), "message 1 on subject \"MEMSTREAMER.topic\" is not an event")
	}
	require.NoError(t, stream(t, js, streamName).DeleteMsg(t.Context(), published.Sequence))
	require.Eventually(t, func() bool { return consumer(t, js).NumAckPending == 0 }, patience, time.Millisecond)
	recv(t, r, "1")
}

func TestForeignConsumer(t *testing.T) {
	s, js := startStreamer(t)
	_, err := js.CreateConsumer(t.Context(), streamName, natsjs.ConsumerConfig{Durable: "topic@name", AckPolicy: natsjs.AckAllPolicy})
	require.NoError(t, err)
	_, err = s.NewReceiver(t.Context(), "topic", "name")
	require.ErrorContains(t, err, "consumer \"topic@name\" is not a cursor of memstreamer")
}

// An event may take max_payload, and no byte more.
func TestTooLarge(t *testing.T) {
	s, _ := startStreamer(t)
	const room = server.MAX_PAYLOAD_SIZE - len(`{"foreign_id":"","type":1,"headers":null}`) - 49 // of the message's header
	largest := strings.Repeat("1", room)
	send(t, s, "topic", largest)
	receive(t, newReceiver(t, s, "topic", "name"), largest)
	err := newSender(t, s, "topic").Send(t.Context(), largest+"1", 1, nil)
	require.ErrorIs(t, err, nats.ErrMaxPayload)
	require.EqualError(t, err, "memstreamer/jetstream: Send: refused: the event takes 1048577 bytes, and the server's max_payload is 1048576: nats: maximum payload exceeded")
}

// An operator may forbid requests that wait for long, which are all of ours.
func TestRefusedPulls(t *testing.T) {
	s, js := startStreamer(t)
	r := newReceiver(t, s, "topic", "name")
	cfg := consumer(t, js).Config
	cfg.MaxRequestExpires = time.Second
	_, err := js.UpdateConsumer(t.Context(), streamName, cfg)
	require.NoError(t, err)
	require.ErrorContains(t, start(t.Context(), r).err(t), "the server refuses pull requests: 409 Exceeded MaxRequestExpires of 1s")
}

// A server whose disk is full answers, and no publish.
func TestFullDisk(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newStreamer(t, fake{JetStream: startEmbedded(t), send: silence})
	snd := newSender(t, s, "topic")
	err := within(t, func() error { return snd.Send(t.Context(), "1", 1, nil) })
	require.ErrorContains(t, err, "the server does not store events: its disk may be full")
}

// A server that is slow when the stream is made is not taken for one without JetStream,
// though nobody has the stream's subjects yet.
func TestNewOutlastsSilence(t *testing.T) {
	_, leaf := startLeaf(t)
	for name, js := range map[string]natsjs.JetStream{"embedded": startEmbedded(t), "leaf": leaf} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			asked := 0
			newStreamer(t, fake{JetStream: js, stream: func(ctx context.Context) error {
				if asked++; asked <= 2 {
					return silence(ctx)
				}
				return nil
			}})
		})
	}
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
	js := fake{JetStream: startEmbedded(t), stream: silent}
	js.send = func(ctx context.Context) error {
		sends++
		return silent(ctx)
	}
	send(t, newStreamer(t, js), "topic", "1")
	assert.Equal(t, 4, sends)
}

// A server that stops has no JetStream some time before it closes its connections. A
// leaf node never has.
func TestSendOutlastsStop(t *testing.T) {
	t.Parallel() // it waits most of the time
	for name, start := range map[string]func(t *testing.T) natsjs.JetStream{
		"embedded": func(t *testing.T) natsjs.JetStream { return startEmbedded(t) },
		"leaf": func(t *testing.T) natsjs.JetStream {
			_, leaf := startLeaf(t)
			return leaf
		},
	} {
		t.Run(name, func(t *testing.T) {
			sends := 0
			js := fake{JetStream: start(t), send: func(context.Context) error {
				if sends++; sends <= 2 {
					return nats.ErrNoResponders
				}
				return nil
			}}
			send(t, newStreamer(t, js), "topic", "1")
			// More where the leaf node's own connection is away for a moment.
			assert.GreaterOrEqual(t, sends, 3)
		})
	}
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
