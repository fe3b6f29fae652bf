package robustness_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/memstreamer/memstreamer/jetstream"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// TestMadeAnew has the stream or the consumer made anew while a process lives
// that acked events of the old one. It acks none of the new, which have the same
// IDs, and the next receiver gets them all.
func TestMadeAnew(t *testing.T) {
	const events = 10
	names := func(of string) (names []string) {
		for n := range events {
			names = append(names, fmt.Sprint(of, " ", n))
		}
		return names
	}
	for what, anew := range map[string]func(t *testing.T, srv *singleServer, js natsjs.JetStream){
		"server": func(t *testing.T, srv *singleServer, _ natsjs.JetStream) {
			srv.stop()
			require.NoError(t, srv.start())
		},
		"stream": func(t *testing.T, _ *singleServer, js natsjs.JetStream) {
			require.NoError(t, js.DeleteStream(t.Context(), streamName))
		},
		"consumer": func(t *testing.T, _ *singleServer, js natsjs.JetStream) {
			require.NoError(t, js.DeleteConsumer(t.Context(), streamName, consumer(t, js).Name))
		},
	} {
		for _, parks := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/parked=%t", what, parks), func(t *testing.T) {
				srv := startServer(t)
				js := connect(t, srv.url())
				s := newStreamer(t, js, jetstream.WithStorage(natsjs.MemoryStorage))
				send(t, s, "topic", names("old")...)
				r := newReceiver(t, s, "topic", "name")
				for _, name := range names("old") {
					require.NoError(t, recv(t, r, name)())
				}
				var call <-chan received
				if parks {
					call = start(t.Context(), r)
					parked(t, js, 1)
				}

				anew(t, srv, js)
				other := newStreamer(t, connect(t, srv.url()), jetstream.WithStorage(natsjs.MemoryStorage))
				require.NoError(t, newReceiver(t, other, "topic", "name").Close())
				want := names("new")
				if what == "consumer" {
					want = append(names("old"), want...)
				}
				send(t, other, "topic", names("new")...)

				if !parks {
					ctx, cancel := context.WithTimeout(t.Context(), soon)
					defer cancel()
					call = start(ctx, r)
				}
				require.ErrorContains(t, await(t, call, soon).err, "the cursor is gone from the server")
				require.NoError(t, r.Close())
				r = newReceiver(t, s, "topic", "name")
				for _, name := range want {
					require.NoError(t, recv(t, r, name)())
				}
			})
		}
	}
}

// An Ack of an event of the old stream is not taken for one of the new event that
// has its ID.
func TestLateAckOfOldStream(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	send(t, s, "topic", "old")
	r := newReceiver(t, s, "topic", "name")
	late := recv(t, r, "old")
	require.NoError(t, js.DeleteStream(t.Context(), streamName))
	other := newStreamer(t, js)
	send(t, other, "topic", "new")
	elsewhere := newReceiver(t, other, "topic", "name")
	recv(t, elsewhere, "new")

	_, _, err := r.Recv(t.Context())
	require.ErrorContains(t, err, "the cursor is gone from the server, and another was made in its place")
	require.ErrorContains(t, late(), "the cursor is gone from the server")
	recv(t, elsewhere, "new")
}
