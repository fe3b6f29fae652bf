package robustness_test

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
)

var long = flag.Bool("long", false, "have TestLeaderRestarts and TestTakeoverKeepsAcks go on four times as long")

// atLength returns events, or four times as many with -long.
func atLength(events int) int {
	if *long {
		return 4 * events
	}
	return events
}

// TestLeaderRestarts stops and starts the server that leads the stream, twice,
// while four senders and eight receivers work on 2,000 events. A sender has two
// topics to itself, so that the receivers of each must get what it sent there
// one by one, and each once.
func TestLeaderRestarts(t *testing.T) {
	const (
		senders  = 4
		topics   = 2 // of each sender
		restarts = 2
	)
	events := atLength(2_000)
	c := startCluster(t)
	js := c.connect(t)
	s := newStreamer(t, js, jetstream.WithReplicas(3))

	var sent, received counter
	work, ctx := errgroup.WithContext(t.Context())
	for i := range senders {
		var headers []map[memstreamer.Header]string
		for j := range topics {
			topic := fmt.Sprintf("topic-%d-%d", i, j)
			headers = append(headers, map[memstreamer.Header]string{memstreamer.HeaderTopic: topic})
			r := newReceiver(t, s, topic, "receiver")
			work.Go(func() error { return receiveAll(ctx, r, events/senders/topics, &received) })
		}
		work.Go(func() error { return sendAll(ctx, s, events/senders, headers, &sent) })
	}
	work.Go(func() error {
		for i := range restarts {
			// At a third, and at two thirds, of the work.
			if err := received.wait(ctx, int64(events*(i+1)/(restarts+1))); err != nil {
				return err
			}
			leader, err := c.leader(ctx, js)
			if err != nil {
				return err
			}
			t.Logf("%d sent, %d received: stopping %s, which leads the stream", sent.n.Load(), received.n.Load(), leader.options.ServerName)
			leader.stop()
			// The other two have to carry on without it.
			if err := received.wait(ctx, received.n.Load()+int64(events/20)); err != nil {
				return err
			}
			t.Logf("%d sent, %d received: starting %s", sent.n.Load(), received.n.Load(), leader.options.ServerName)
			if err := leader.start(); err != nil {
				return err
			}
		}
		return nil
	})

	done := make(chan error, 1)
	go func() { done <- work.Wait() }()
	progress := time.NewTicker(5 * time.Second)
	defer progress.Stop()
	for {
		select {
		case <-progress.C:
			t.Logf("%d sent, %d received", sent.n.Load(), received.n.Load())
			continue
		case err := <-done:
			require.NoError(t, err)
		}
		break
	}

	assert.EqualValues(t, events, messages(t, js), "a Send was repeated and appended twice")
}

// sendAll sends the events "0", "1", and so on, to one topic after the other.
func sendAll(ctx context.Context, s memstreamer.EventStreamer, events int, headers []map[memstreamer.Header]string, sent *counter) error {
	snd, err := s.NewSender(ctx, "none")
	if err != nil {
		return err
	}
	for n := range events {
		if err := snd.Send(ctx, strconv.Itoa(n/len(headers)), 1, headers[n%len(headers)]); err != nil {
			return fmt.Errorf("send %d: %w", n, err)
		}
		sent.add()
	}
	return snd.Close()
}

// receiveAll receives and acks the events "0", "1", and so on.
func receiveAll(ctx context.Context, r memstreamer.EventReceiver, events int, received *counter) error {
	var acked int64         // the last event whose ack was confirmed
	next, maybe := 0, false // maybe the event before next was not acked
	for next < events {
		e, ack, err := r.Recv(ctx)
		if err != nil {
			return fmt.Errorf("receive %d: %w", next, err)
		}
		if e.ID <= acked {
			return fmt.Errorf("event %d came after the ack of event %d", e.ID, acked)
		}
		switch e.ForeignID {
		case strconv.Itoa(next):
			received.add()
			next++
		case strconv.Itoa(next - 1):
			if !maybe {
				return fmt.Errorf("event %d came again", next-1)
			}
		default:
			return fmt.Errorf("got event %s, not %d", e.ForeignID, next)
		}
		maybe = ack() != nil
		if !maybe {
			acked = e.ID
		}
	}
	return r.Close()
}

// counter counts, and tells who waits for it.
type counter struct {
	n atomic.Int64

	mu      sync.Mutex
	changed chan struct{}
	limit   int64
}

func (c *counter) add() {
	n := c.n.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed != nil && n >= c.limit {
		close(c.changed)
		c.changed = nil
	}
}

// wait waits for the count to reach limit. One goroutine at a time may.
func (c *counter) wait(ctx context.Context, limit int64) error {
	c.mu.Lock()
	if c.n.Load() >= limit {
		c.mu.Unlock()
		return nil
	}
	changed := make(chan struct{})
	c.changed, c.limit = changed, limit
	c.mu.Unlock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestSilentServer has a server that takes what it is sent and says nothing.
func TestSilentServer(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	js, p := startProxied(t)
	direct := connect(t, p.server.url())
	s := newStreamer(t, js, jetstream.WithAckTimeout(50*time.Millisecond))
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	r := newReceiver(t, s, "topic", "name")
	send(t, s, "topic", "1")
	ack := recv(t, r, "1")
	idle := newReceiver(t, s, "empty", "name")
	call := start(t.Context(), idle)
	parked(t, direct, 1)

	p.mute()
	for what, call := range map[string]func(context.Context) error{
		"New": func(ctx context.Context) error {
			_, err := jetstream.New(ctx, js)
			return err
		},
		"NewReceiver": func(ctx context.Context) error {
			_, err := s.NewReceiver(ctx, "topic", "another")
			return err
		},
		"Send": func(ctx context.Context) error { return snd.Send(ctx, "2", 1, nil) },
		"Recv": func(ctx context.Context) error {
			_, _, err := idle.Recv(ctx)
			return err
		},
		"Recv again": func(ctx context.Context) error {
			_, _, err := r.Recv(ctx)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			assert.ErrorIs(t, within(t, func() error { return call(ctx) }), context.DeadlineExceeded)

			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			assert.ErrorIs(t, within(t, func() error { return call(ctx) }), context.Canceled)
		})
	}
	t.Run("Ack", func(t *testing.T) {
		assert.ErrorContains(t, within(t, ack), "Ack of event 1: not confirmed: the server is not available")
	})
	t.Run("Close", func(t *testing.T) {
		before := messages(t, direct)
		sent := make(chan error, 1)
		go func() { sent <- snd.Send(t.Context(), "3", 1, nil) }()
		require.Eventually(t, func() bool { return messages(t, direct) == before+1 }, patience, time.Millisecond)
		assert.NoError(t, within(t, s.Close))
		assert.ErrorIs(t, await(t, sent, soon), memstreamer.ErrClosed)
		assert.ErrorIs(t, await(t, call, soon).err, memstreamer.ErrClosed)
	})
}

// TestServerRestarts has a server go away, and come back, under a Send and a Recv
// that wait for it.
func TestServerRestarts(t *testing.T) {
	srv := startServer(t)
	js := connect(t, srv.url())
	s := newStreamer(t, js)
	r := newReceiver(t, s, "topic", "name")
	send(t, s, "topic", "1")
	require.NoError(t, recv(t, r, "1")())
	call := start(t.Context(), r)
	parked(t, js, 1)

	srv.stop()
	require.Eventually(t, func() bool { return js.Conn().Status() == nats.RECONNECTING }, patience, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	err = within(t, func() error { return snd.Send(ctx, "lost", 1, nil) })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "no connection to the server (RECONNECTING)")
	sent := make(chan error, 1)
	go func() { sent <- snd.Send(t.Context(), "2", 1, nil) }()

	require.NoError(t, srv.start())
	require.NoError(t, await(t, sent, patience))
	got := await(t, call, patience)
	require.NoError(t, got.err)
	if got.event.ForeignID == "lost" {
		// It was not: its Send left that open.
		require.NoError(t, got.ack())
		got = await(t, start(t.Context(), r), patience)
		require.NoError(t, got.err)
	}
	require.Equal(t, "2", got.event.ForeignID)
	require.NoError(t, got.ack())
}

// TestUnknownOutcome loses the server's answer to a Send, which has to find out
// on the next connection that the event is there.
func TestUnknownOutcome(t *testing.T) {
	js, p := startProxied(t)
	s := newStreamer(t, js)
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	direct := connect(t, p.server.url())
	p.mute()
	sent := make(chan error, 1)
	go func() { sent <- snd.Send(t.Context(), "1", 1, nil) }()
	require.Eventually(t, func() bool { return messages(t, direct) == 1 }, patience, time.Millisecond)
	p.cut()
	p.speak()
	require.NoError(t, await(t, sent, patience))
	send(t, s, "topic", "2")
	require.EqualValues(t, 2, messages(t, direct))
}

// TestLostDelivery loses an event on its way to a Recv that waits for it.
func TestLostDelivery(t *testing.T) {
	js, p := startProxied(t)
	s := newStreamer(t, js)
	r := newReceiver(t, s, "topic", "name")
	call := start(t.Context(), r)
	parked(t, js, 1)
	p.mute()
	direct := connect(t, p.server.url())
	send(t, newStreamer(t, direct), "topic", "1")
	require.Eventually(t, func() bool { return consumer(t, direct).NumAckPending == 1 }, patience, time.Millisecond)
	p.cut()
	p.speak()
	got := await(t, call, soonest)
	require.NoError(t, got.err)
	require.Equal(t, "1", got.event.ForeignID)
	require.NoError(t, got.ack())
}

// TestConnectionCloses has the connection closed, for good.
func TestConnectionCloses(t *testing.T) {
	srv := startServer(t)
	js := connect(t, srv.url())
	s, err := jetstream.New(t.Context(), js)
	require.NoError(t, err)
	r := newReceiver(t, s, "topic", "name")
	send(t, s, "topic", "1", "2")
	ack := recv(t, r, "1")
	require.NoError(t, ack())
	ack = recv(t, r, "2")
	call := start(t.Context(), newReceiver(t, s, "empty", "name"))
	parked(t, js, 1)

	js.Conn().Close()
	require.ErrorIs(t, await(t, call, soonest).err, nats.ErrConnectionClosed)
	_, _, err = r.Recv(t.Context())
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
	require.ErrorIs(t, ack(), nats.ErrConnectionClosed)
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.ErrorIs(t, snd.Send(t.Context(), "3", 1, nil), nats.ErrConnectionClosed)
	_, err = s.NewReceiver(t.Context(), "topic", "third")
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
	require.NoError(t, within(t, s.Close))
	_, err = jetstream.New(t.Context(), js)
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
}

// messages returns how many events the stream has.
func messages(t testing.TB, js natsjs.JetStream) uint64 {
	t.Helper()
	stream, err := js.Stream(t.Context(), streamName)
	require.NoError(t, err)
	return stream.CachedInfo().State.Msgs
}

// within returns what f does, which has to be soon.
func within(t testing.TB, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	return await(t, done, soon)
}
