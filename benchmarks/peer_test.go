package benchmarks

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func eachPeer(t *testing.T, test func(t *testing.T, peer Peer)) {
	for _, peer := range Peers {
		t.Run(peer.Name, func(t *testing.T) { test(t, peer) })
	}
}

func TestPass(t *testing.T) {
	eachPeer(t, func(t *testing.T, peer Peer) {
		for _, receivers := range []int{1, 8} {
			t.Run(fmt.Sprint(receivers), func(t *testing.T) {
				ctx, broker := openFor(t, peer)
				err := pass(ctx, newSender(t, broker, topic), newReceivers(t, ctx, broker, topic, receivers), 2000, peer.Ordered)
				require.NoError(t, err)
			})
		}
	})
}

func TestTopicsAreApart(t *testing.T) {
	eachPeer(t, func(t *testing.T, peer Peer) {
		ctx, broker := openFor(t, peer)
		a, b := newReceiver(t, ctx, broker, "a", "n"), newReceiver(t, ctx, broker, "b", "n")
		require.NoError(t, newSender(t, broker, "a").Send(ctx, 1))
		require.NoError(t, newSender(t, broker, "b").Send(ctx, 2))
		for r, want := range map[Receiver]int{a: 1, b: 2} {
			foreignID, _, err := r.Recv(ctx)
			require.NoError(t, err)
			n, err := number(foreignID)
			require.NoError(t, err)
			require.Equal(t, want, n)
		}
	})
}

func TestPeersThatKeepEventsReplayThem(t *testing.T) {
	eachPeer(t, func(t *testing.T, peer Peer) {
		const events = 100
		ctx, broker := openFor(t, peer)
		require.NoError(t, sendAll(ctx, newSender(t, broker, topic), events))
		late := newReceiver(t, ctx, broker, topic, "late")
		if !peer.Keeps {
			sender := newSender(t, broker, topic)
			require.NoError(t, sender.Send(ctx, events))
			foreignID, _, err := late.Recv(ctx)
			require.NoError(t, err)
			n, err := number(foreignID)
			require.NoError(t, err)
			require.Equal(t, events, n, "the first event that was sent after it came")
			return
		}
		require.NoError(t, pass(ctx, nothing{}, []Receiver{late}, events, peer.Ordered))
	})
}

// nothing is a Sender of what was sent before.
type nothing struct{}

func (nothing) Send(context.Context, int) error { return nil }

func TestRecvEndsWithItsContext(t *testing.T) {
	eachPeer(t, func(t *testing.T, peer Peer) {
		ctx, broker := openFor(t, peer)
		r := newReceiver(t, ctx, broker, topic, "n")
		recvCtx, cancel := context.WithCancel(ctx)
		failed := make(chan error)
		go func() {
			_, _, err := r.Recv(recvCtx)
			failed <- err
		}()
		cancel()
		require.ErrorIs(t, <-failed, context.Canceled)
	})
}

func TestPassChecks(t *testing.T) {
	ids := func(n ...string) Receiver {
		return &scripted{n}
	}
	ctx := t.Context()
	for name, test := range map[string]struct {
		got     Receiver
		ordered bool
		want    string
	}{
		"twice":        {ids("order-1000000", "order-1000000"), false, "twice"},
		"out of order": {ids("order-1000001", "order-1000000"), true, "want 0"},
		"never sent":   {ids("order-1000002"), false, "not sent"},
		"foreign":      {ids("x"), false, "no foreign ID"},
		"too few":      {ids("order-1000000"), true, "event 1 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, pass(ctx, nothing{}, []Receiver{test.got}, 2, test.ordered), test.want)
		})
	}
	require.NoError(t, pass(ctx, nothing{}, []Receiver{ids("order-1000001", "order-1000000")}, 2, false))
}

// scripted receives what it is told to.
type scripted struct{ foreignIDs []string }

func (s *scripted) Recv(context.Context) (string, func() error, error) {
	if len(s.foreignIDs) == 0 {
		return "", nil, context.DeadlineExceeded
	}
	next := s.foreignIDs[0]
	s.foreignIDs = s.foreignIDs[1:]
	return next, noAck, nil
}
