package chaos

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

var long = flag.Bool("long", false, "have TestLeaderRestarts send more")

// run starts an embedded server in dir and a streamer on it, and returns what
// stops both.
func run(t *testing.T, dir string) (memstreamer.EventStreamer, func()) {
	t.Helper()
	js, stop := embed(t, dir)
	s := newStreamer(t, js)
	return s, func() {
		t.Helper()
		require.NoError(t, s.Close())
		require.NoError(t, stop())
	}
}

// TestRestart stops an embedded server between Send and Recv, between Recv and
// Ack, and after the Ack, and starts it again on the same directory.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s, stop := run(t, dir)
	early := newReceiver(t, s, "topic", "early")
	newReceiver(t, s, "topic", "idle")
	send(t, s, "topic", "1", "2", "3")
	newReceiver(t, s, "topic", "latest", memstreamer.StreamFromLatest())
	receive(t, early, "1")
	stop() // between Send and Recv of 2, for early, and of 1, for idle

	s, stop = run(t, dir)
	recv(t, newReceiver(t, s, "topic", "early"), "2")
	stop() // between Recv and Ack of 2

	s, stop = run(t, dir)
	receive(t, newReceiver(t, s, "topic", "early"), "2")
	stop() // after the Ack of 2

	s, stop = run(t, dir)
	defer stop()
	send(t, s, "topic", "4")
	for name, want := range map[string][]string{
		"early":  {"3", "4"},
		"idle":   {"1", "2", "3", "4"},
		"latest": {"4"},
	} {
		// They have cursors, which have been kept.
		receive(t, newReceiver(t, s, "topic", name, memstreamer.StreamFromLatest()), want...)
	}
}

// TestStopUnderUse stops an embedded server, and so closes its connection for good,
// under a streamer in use. Another starts on what it has kept.
func TestStopUnderUse(t *testing.T) {
	dir := t.TempDir()
	js, stop := embed(t, dir)
	s := newStreamer(t, js)
	send(t, s, "topic", "1", "2")
	r := newReceiver(t, s, "topic", "name")
	receive(t, r, "1")
	ack := recv(t, r, "2")
	waiting := park(t, js, newReceiver(t, s, "empty", "name"))
	snd := newSender(t, s, "topic")
	require.NoError(t, stop())

	require.ErrorIs(t, waiting.err(t), nats.ErrConnectionClosed)
	require.ErrorIs(t, within(t, ack), nats.ErrConnectionClosed)
	for what, call := range calls(js, s, snd, r) {
		require.ErrorIs(t, within(t, func() error { return call(t.Context()) }), nats.ErrConnectionClosed, what)
	}
	require.NoError(t, within(t, s.Close))

	again, stopAgain := run(t, dir)
	defer stopAgain()
	receive(t, newReceiver(t, again, "topic", "name"), "2")
}

// TestServerRestarts has a server go away, and come back, under a Send and a Recv
// that wait for it.
func TestServerRestarts(t *testing.T) {
	srv := startChild(t)
	js := connectPatiently(t, srv.url())
	s := newStreamer(t, js)
	r := newReceiver(t, s, "topic", "name")
	send(t, s, "topic", "1")
	receive(t, r, "1")
	call := park(t, js, r)

	require.NoError(t, srv.stop())
	require.Eventually(t, func() bool { return js.Conn().Status() == nats.RECONNECTING }, patience, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	elsewhere := newSender(t, s, "elsewhere")
	err := within(t, func() error { return elsewhere.Send(ctx, "lost", 1, nil) })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "no connection to the server (RECONNECTING)")
	snd := newSender(t, s, "topic")
	sent := async(func() error { return snd.Send(t.Context(), "2", 1, nil) })

	require.NoError(t, srv.start())
	require.NoError(t, await(t, sent, patience))
	require.NoError(t, call.event(t, "2")())
}

// TestLeaderRestarts stops the server that leads the stream, twice, while two
// processes send and receive, one of them with an ephemeral receiver, too. The other two
// servers carry on without it, and it comes back under the next Sends.
func TestLeaderRestarts(t *testing.T) {
	t.Parallel()
	c := startChildren(t)
	w := newWorkload(t, func() natsjs.JetStream { return connect(t, c.url()) }, jetstream.WithReplicas(3))
	stop := w.startReceivers(t)
	events := 50 // to each topic, each time
	if *long {
		events = 500
	}
	all := 4 * events
	ephemeral := newReceiver(t, w.processes[0], topicName(0), "ephemeral", memstreamer.Ephemeral())
	var watching errgroup.Group
	watching.Go(func() error { return watch(t.Context(), ephemeral, all) })
	for range 2 {
		require.NoError(t, w.sendAll(t.Context(), events))
		leader, err := c.leader(t.Context(), w.operator)
		require.NoError(t, err)
		var sending errgroup.Group
		sending.Go(func() error { return w.sendAll(t.Context(), events) })
		require.NoError(t, leader.stop())
		require.NoError(t, sending.Wait())
		require.NoError(t, w.drain())
		t.Logf("without %s: %v", leader.name, w)
		require.NoError(t, leader.start())
		// A server that has not caught up yet is none to go on with: where it has
		// nothing of a consumer, its vote does not count.
		require.NoError(t, leader.healthy(t.Context()))
	}
	require.NoError(t, stop())
	require.NoError(t, within(t, watching.Wait))
	v := w.verdict()
	assert.Zero(t, v.lost+v.repeated+v.reordered, "%v", v)
	s := stats(t, w.processes[0])
	assert.Equal(t, len(w.topics), len(s.Topics))
	for _, topic := range s.Topics {
		assert.Equal(t, all, topic.Retained, "a Send was repeated and appended twice")
	}
	assert.Equal(t, len(w.topics)+1, len(s.Receivers))
	for _, r := range s.Receivers {
		assert.Zero(t, r.Lag, "%+v", r)
	}
}

// watch receives and acks so many events, each of them once.
func watch(ctx context.Context, r memstreamer.EventReceiver, events int) error {
	last := int64(0)
	for n := range events {
		e, ack, err := r.Recv(ctx)
		if err != nil {
			return err
		}
		if e.ID <= last {
			return fmt.Errorf("event %d, the %dth, after event %d", e.ID, n+1, last)
		}
		last = e.ID
		if err := ack(); err != nil {
			return err
		}
	}
	return nil
}
