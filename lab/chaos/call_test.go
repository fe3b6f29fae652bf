package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// call is a Recv in another goroutine.
type call <-chan received

type received struct {
	event *memstreamer.Event
	ack   memstreamer.Ack
	err   error
}

func start(ctx context.Context, r memstreamer.EventReceiver) call {
	done := make(chan received, 1)
	go func() {
		e, ack, err := r.Recv(ctx)
		done <- received{e, ack, err}
	}()
	return done
}

// park starts a Recv and waits until the server has its pull request, the only one.
func park(t testing.TB, js natsjs.JetStream, r memstreamer.EventReceiver) call {
	t.Helper()
	c := start(t.Context(), r)
	parked(t, js, 1)
	return c
}

// giveUp ends a Recv that is parked. Its pull request stays with the server.
func giveUp(t testing.TB, js natsjs.JetStream, r memstreamer.EventReceiver) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := start(ctx, r)
	parked(t, js, 1)
	cancel()
	require.ErrorIs(t, c.err(t), context.Canceled)
}

// event returns the Ack of the event that c returns, which has to be that one.
func (c call) event(t testing.TB, foreignID string) memstreamer.Ack {
	t.Helper()
	got := await(t, c, soonest)
	require.NoError(t, got.err)
	require.Equal(t, foreignID, got.event.ForeignID)
	return got.ack
}

// err returns the error of c.
func (c call) err(t testing.TB) error {
	t.Helper()
	return await(t, c, soonest).err
}

// recv returns the Ack of the next event, which has to be that one.
func recv(t testing.TB, r memstreamer.EventReceiver, foreignID string) memstreamer.Ack {
	t.Helper()
	return start(t.Context(), r).event(t, foreignID)
}

// receive receives and acks these events.
func receive(t testing.TB, r memstreamer.EventReceiver, foreignIDs ...string) {
	t.Helper()
	for _, foreignID := range foreignIDs {
		require.NoError(t, recv(t, r, foreignID)())
	}
}

func await[T any](t testing.TB, done <-chan T, deadline time.Duration) T {
	t.Helper()
	select {
	case v := <-done:
		return v
	case <-time.After(deadline):
		t.Fatalf("nothing within %v", deadline)
		panic("unreachable")
	}
}

// async calls f, and returns the channel that gets its error.
func async(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// within returns what f does, which has to be soon.
func within(t testing.TB, f func() error) error {
	t.Helper()
	return await(t, async(f), soon)
}

// calls returns a call of each kind that asks the server.
func calls(js natsjs.JetStream, s *jetstream.Streamer, snd memstreamer.EventSender, r memstreamer.EventReceiver) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Send": func(ctx context.Context) error { return snd.Send(ctx, "another", 1, nil) },
		"Recv": func(ctx context.Context) error {
			_, _, err := r.Recv(ctx)
			return err
		},
		"NewReceiver": func(ctx context.Context) error {
			_, err := s.NewReceiver(ctx, "topic", "another")
			return err
		},
		"Forget": func(ctx context.Context) error { return s.Forget(ctx, "topic", "another") },
		"Stats": func(ctx context.Context) error {
			_, err := s.Stats(ctx)
			return err
		},
		"New": func(ctx context.Context) error {
			_, err := jetstream.New(ctx, js)
			return err
		},
	}
}
