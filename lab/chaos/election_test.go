package chaos

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// elections notes when the leaders of the stream and of its consumers were elected, and
// how much longer calls took.
type elections struct {
	mu     sync.Mutex
	last   map[string]time.Time     // by "STREAM" or the topic of a consumer
	calls  map[string]int           // that waited, by what they did
	excess map[string]time.Duration // the longest, by what they did
}

// advise takes an advisory.
func (e *elections) advise(m *nats.Msg) {
	subject := strings.Split(m.Subject, ".")
	of := subject[3]
	if of == "CONSUMER" {
		of, _, _ = strings.Cut(subject[6], "@")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last[of] = time.Now()
}

// time calls f, and notes how long after the last election that concerns it f returned,
// if that was while it was called. One that fails is cut short.
func (e *elections) time(what string, f func() error, concerns ...string) error {
	begin := time.Now()
	err := f()
	end := time.Now()
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	elected := begin
	for _, of := range concerns {
		if e.last[of].After(elected) {
			elected = e.last[of]
		}
	}
	if elected.After(begin) {
		e.calls[what]++
		e.excess[what] = max(e.excess[what], end.Sub(elected))
	}
	return nil
}

// TestLeadersKilled kills the leader of the stream, and then the next when the first has
// just come back, twenty times. No call takes a second longer than the elections.
func TestLeadersKilled(t *testing.T) {
	if !*long {
		t.Skip("it takes five minutes: see -long")
	}
	const rounds, topics = 20, 3
	c := startChildren(t)
	s := newStreamer(t, connect(t, c.url()), jetstream.WithReplicas(3))
	operator := connect(t, c.url())
	e := &elections{last: map[string]time.Time{}, calls: map[string]int{}, excess: map[string]time.Duration{}}
	_, err := operator.Conn().Subscribe("$JS.EVENT.ADVISORY.*.LEADER_ELECTED.>", e.advise)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	var calls errgroup.Group
	for n := range topics {
		topic := topicName(n)
		snd, r := newSender(t, s, topic), newReceiver(t, s, topic, "name")
		calls.Go(func() error { return sendTimed(ctx, e, snd) })
		calls.Go(func() error { return receiveTimed(ctx, e, topic, r) })
	}
	leaderOtherThan := func(other *child) (leader *child) {
		require.Eventually(t, func() bool {
			leader, err = c.leader(t.Context(), operator)
			return err == nil && leader != other
		}, patience, 10*time.Millisecond)
		return leader
	}
	for range rounds {
		first := leaderOtherThan(nil)
		require.NoError(t, first.kill())
		second := leaderOtherThan(first)
		require.NoError(t, first.start())
		time.Sleep(300 * time.Millisecond)
		require.NoError(t, second.kill())
		time.Sleep(2 * time.Second)
		require.NoError(t, second.start())
		for _, srv := range c {
			require.NoError(t, srv.healthy(t.Context()))
		}
		t.Log(e)
	}
	cancel()
	require.NoError(t, calls.Wait())
	for what, excess := range e.excess {
		assert.Less(t, excess, time.Second, what)
	}
}

func (e *elections) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprintf("calls that waited for an election: %v, the longest after it: %v", e.calls, e.excess)
}

func sendTimed(ctx context.Context, e *elections, snd memstreamer.EventSender) error {
	for ctx.Err() == nil {
		if err := e.time("Send", func() error { return snd.Send(context.Background(), "1", 1, nil) }, "STREAM"); err != nil {
			return err
		}
		sleep(ctx, 5*time.Millisecond)
	}
	return nil
}

func receiveTimed(ctx context.Context, e *elections, topic string, r memstreamer.EventReceiver) error {
	for {
		var ack memstreamer.Ack
		err := e.time("Recv", func() (err error) {
			_, ack, err = r.Recv(ctx)
			return err
		}, topic, "STREAM")
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := e.time("Ack", ack, topic); err != nil {
			return err
		}
	}
}
