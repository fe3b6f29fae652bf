package benchmarks

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer/internal/bench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func eachPeer(t *testing.T, test func(t *testing.T, peer Peer, s *bench.Session)) {
	for _, peer := range slices.Concat(Peers, Durables) {
		t.Run(peer.Name, func(t *testing.T) { test(t, peer, bench.Start(t, peer.Open)) })
	}
}

func TestPeersPassEvents(t *testing.T) {
	eachPeer(t, func(t *testing.T, peer Peer, s *bench.Session) {
		var all []bench.Receiver
		for i := range 8 {
			all = append(all, s.Receiver(bench.Topic, strconv.Itoa(i)))
		}
		late, err := bench.PassEvents(s.Ctx, s.Sender(bench.Topic), all, 100)
		require.NoError(t, err)
		require.True(t, peer.Unordered || late == 0, "%d events came after later ones", late)
	})
}

func TestTopicsAreApart(t *testing.T) {
	eachPeer(t, func(t *testing.T, _ Peer, s *bench.Session) {
		a, b := s.Receiver("a", "n"), s.Receiver("b", "n")
		require.NoError(t, s.Sender("a").Send(s.Ctx, 1))
		require.NoError(t, s.Sender("b").Send(s.Ctx, 2))
		// b passes over the event of a, and a does not.
		require.Equal(t, bench.ForeignID(2), recv(t, s, b))
		require.Equal(t, bench.ForeignID(1), recv(t, s, a))
	})
}

func TestLateReceivers(t *testing.T) {
	eachPeer(t, func(t *testing.T, peer Peer, s *bench.Session) {
		sender := s.Sender(bench.Topic)
		require.NoError(t, sender.Send(s.Ctx, 1))
		late := s.Receiver(bench.Topic, "late")
		require.NoError(t, sender.Send(s.Ctx, 2))
		first := recv(t, s, late)
		if peer.Forgets {
			require.Equal(t, bench.ForeignID(2), first)
			return
		}
		got := []string{first, recv(t, s, late)}
		if peer.Unordered {
			slices.Sort(got)
		}
		require.Equal(t, []string{bench.ForeignID(1), bench.ForeignID(2)}, got)
	})
}

func TestRecvEndsWithItsContext(t *testing.T) {
	eachPeer(t, func(t *testing.T, _ Peer, s *bench.Session) {
		r := s.Receiver(bench.Topic, "n")
		ctx, cancel := context.WithCancel(s.Ctx)
		failed := make(chan error)
		go func() {
			_, _, err := r(ctx)
			failed <- err
		}()
		cancel()
		require.ErrorIs(t, <-failed, context.Canceled)
	})
}

// recv receives and acks an event, and returns its foreign ID.
func recv(t *testing.T, s *bench.Session, r bench.Receiver) string {
	ctx, cancel := context.WithTimeout(s.Ctx, 30*time.Second)
	defer cancel()
	foreignID, ack, err := r(ctx)
	require.NoError(t, err)
	require.NoError(t, ack())
	return foreignID
}
