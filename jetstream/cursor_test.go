package jetstream

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPersist has a server that is not available for an hour, and answers each
// attempt with that at once.
func TestPersist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Streamer{log: slog.New(slog.DiscardHandler)}
		const away = time.Hour
		begin, attempts := time.Now(), 0
		err := s.persist(t.Context(), "a test", patience, func(context.Context) error {
			attempts++
			if time.Since(begin) < away {
				return errNoLeader
			}
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, int(away/retryDelay)+1, attempts)
	})
}

// TestPersistSlowServer has a server that takes 10 s for each answer.
func TestPersistSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Streamer{log: slog.New(slog.DiscardHandler)}
		slow := func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Second):
				return nil
			}
		}
		require.NoError(t, s.persist(t.Context(), "a test", patience, slow))

		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		begin := time.Now()
		err := s.persist(ctx, "a test", patience, slow)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "the server is not available")
		assert.Equal(t, 9*time.Second, time.Since(begin))
	})
}

func TestUnavailable(t *testing.T) {
	for _, err := range []error{
		&natsjs.APIError{Code: 503, ErrorCode: 10008},
		&natsjs.APIError{Code: 409, ErrorCode: 10158},
		context.DeadlineExceeded,
		nats.ErrNoResponders,
	} {
		assert.True(t, unavailable(err), "%v", err)
	}
	for _, err := range []error{
		natsjs.ErrJetStreamNotEnabled,
		natsjs.ErrConsumerNotFound,
		context.Canceled,
		nats.ErrConnectionClosed,
		errors.New("another"),
	} {
		assert.False(t, unavailable(err), "%v", err)
	}
}

func TestCheckLevel(t *testing.T) {
	assert.NoError(t, checkLevel(map[string]string{"_nats.level": "4"}))
	assert.NoError(t, checkLevel(map[string]string{"_nats.level": "10"}))
	assert.ErrorContains(t, checkLevel(map[string]string{"_nats.level": "3"}), "the server has JetStream API level 3, and level 4 is needed")
	assert.ErrorContains(t, checkLevel(nil), "the server has JetStream API level 0")
}

// parkedRecv returns the cursor of a Recv that waits, and what Recv returns.
func parkedRecv(t *testing.T) (s *Streamer, c *cursor, events <-chan string) {
	t.Helper()
	conn, stop, err := embedded.Start(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, stop()) })
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	s, err = New(t.Context(), js)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	r, err := s.NewReceiver(t.Context(), "topic", "name")
	require.NoError(t, err)
	received := make(chan string, 1)
	go func() {
		e, _, err := r.Recv(t.Context())
		if err != nil {
			received <- err.Error()
			return
		}
		received <- e.ForeignID
	}()
	c = s.cursor("topic@name")
	pulled(t, c, 1)
	return s, c, received
}

// pulled waits until the cursor has sent n pull requests, and not more.
func pulled(t *testing.T, c *cursor, n uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		require.LessOrEqual(t, c.pulls, n)
		return c.pulls == n && c.pulling
	}, time.Minute, time.Millisecond)
}

// TestPullAgain ends pull requests in each way in which one may end without an
// event. A Recv that waits sends the next.
func TestPullAgain(t *testing.T) {
	s, c, events := parkedRecv(t)
	status := func(code, description string) nats.Header {
		return nats.Header{"Status": {code}, "Description": {description}}
	}
	c.pullStatus("1", status("100", "Idle Heartbeat"))
	c.pullStatus("1", status("408", "Request Timeout"))
	pulled(t, c, 2)
	c.pullStatus("1", status("408", "of a pull request that was given up"))
	pulled(t, c, 2)
	c.pullStatus("2", status("409", "Leadership Change"))
	pulled(t, c, 3)
	c.pullStatus("3", status("503", ""))
	pulled(t, c, 4)
	c.mu.Lock()
	c.silence.Reset(0)
	c.mu.Unlock()
	pulled(t, c, 5)

	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.NoError(t, snd.Send(t.Context(), "1", 1, nil))
	assert.Equal(t, "1", <-events)
}

// TestDeliveryToNobody has an event delivered for a receiver that is gone, while
// one of its name waits elsewhere.
func TestDeliveryToNobody(t *testing.T) {
	s, c, _ := parkedRecv(t)
	there, err := New(t.Context(), s.js)
	require.NoError(t, err)
	defer func() { require.NoError(t, there.Close()) }()
	r, err := there.NewReceiver(t.Context(), "topic", "name")
	require.NoError(t, err)
	received := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), AckWait/2)
	defer cancel()
	go func() {
		_, _, err := r.Recv(ctx)
		received <- err
	}()
	pulled(t, there.cursor(c.name), 1)
	c.fail(errors.New("of the test"))

	// The pull request of the one that is gone came first.
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.NoError(t, snd.Send(t.Context(), "1", 1, nil))
	require.NoError(t, <-received)
}

// TestTooLate has an event come just when the Recv that waited for it ends.
func TestTooLate(t *testing.T) {
	s, c, events := parkedRecv(t)
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.NoError(t, snd.Send(t.Context(), "1", 1, nil))
	require.Equal(t, "1", <-events)

	there, err := New(t.Context(), s.js)
	require.NoError(t, err)
	defer func() { require.NoError(t, there.Close()) }()
	r, err := there.NewReceiver(t.Context(), "topic", "name")
	require.NoError(t, err)
	elsewhere := there.cursor(c.name)
	elsewhere.mu.Lock()
	elsewhere.unsure = false // so that it does not take the event
	elsewhere.mu.Unlock()
	received := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), AckWait/2)
	defer cancel()
	go func() {
		_, _, err := r.Recv(ctx)
		received <- err
	}()
	pulled(t, elsewhere, 1)

	c.mu.Lock()
	c.waiting++
	c.held.returned = false
	c.leave()
	c.mu.Unlock()
	require.NoError(t, <-received)
}

// leaderless is a consumer about which the wrong server answers first.
type leaderless struct {
	natsjs.Consumer
	asked int
}

func (l *leaderless) Info(ctx context.Context) (*natsjs.ConsumerInfo, error) {
	info, err := l.Consumer.Info(ctx)
	if err != nil {
		return nil, err
	}
	switch l.asked++; l.asked {
	case 1:
		return &natsjs.ConsumerInfo{Config: info.Config}, nil
	case 2:
		return &natsjs.ConsumerInfo{Config: info.Config, Cluster: &natsjs.ClusterInfo{}}, nil
	}
	info.Cluster = &natsjs.ClusterInfo{Leader: "server"}
	return info, nil
}

// TestNoLeader asks a server about a consumer that it does not lead, and of which
// it only knows that it exists.
func TestNoLeader(t *testing.T) {
	s, c, events := parkedRecv(t)
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.NoError(t, snd.Send(t.Context(), "1", 1, nil))
	require.Equal(t, "1", <-events)

	s.clustered = true
	consumer := &leaderless{Consumer: c.consumer}
	c.consumer = consumer
	ctx, cancel := context.WithTimeout(t.Context(), AckWait/2)
	defer cancel()
	d, err := c.next(ctx)
	require.NoError(t, err, "it was taken for acked")
	assert.EqualValues(t, 1, d.id)
	assert.Equal(t, 3, consumer.asked)
}

// interrupted resets consumers, and has the one who asked give up at that.
type interrupted struct {
	natsjs.JetStream
	cancel context.CancelFunc
}

func (i interrupted) ResetConsumer(ctx context.Context, stream, consumer string) (*natsjs.ConsumerResetResponse, error) {
	response, err := i.JetStream.ResetConsumer(ctx, stream, consumer)
	i.cancel()
	return response, err
}

// TestTakeoverGivenUp has a Recv that takes an event from another process, and
// ends before it gets it. The other's ack is as good as before.
func TestTakeoverGivenUp(t *testing.T) {
	s, c, events := parkedRecv(t)
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.NoError(t, snd.Send(t.Context(), "1", 1, nil))
	require.Equal(t, "1", <-events)

	there, err := New(t.Context(), s.js)
	require.NoError(t, err)
	defer func() { require.NoError(t, there.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	there.js = interrupted{s.js, cancel}
	r, err := there.NewReceiver(t.Context(), "topic", "name")
	require.NoError(t, err)
	_, _, err = r.Recv(ctx)
	require.ErrorIs(t, err, context.Canceled)

	c.mu.Lock()
	held := c.held
	c.mu.Unlock()
	require.NoError(t, c.ack(held))
}

// TestCursorsDropped has receivers come and go, and looks at what is kept.
func TestCursorsDropped(t *testing.T) {
	s, c, events := parkedRecv(t)
	kept := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.cursors)
	}
	// Without a Recv there is nothing to keep.
	for range 3 {
		r, err := s.NewReceiver(t.Context(), "topic", "another")
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.NoError(t, r.Close())
	}
	require.Equal(t, 1, kept())

	// Its pull request is with the server, for the next receiver of the name.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := s.NewReceiver(ctx, "topic", "third")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, _, err := r.Recv(ctx)
		done <- err
	}()
	third := s.cursor("topic@third")
	pulled(t, third, 1)
	require.NoError(t, r.Close())
	require.ErrorIs(t, <-done, memstreamer.ErrClosed)
	require.Equal(t, 2, kept())
	r, err = s.NewReceiver(ctx, "topic", "third")
	require.NoError(t, err)
	require.Same(t, third, s.cursor("topic@third"))
	require.NoError(t, r.Close())
	third.pullStatus("1", nats.Header{"Status": {"408"}})
	require.Equal(t, 1, kept())

	c.fail(errors.New("of the test"))
	require.Contains(t, <-events, "of the test")
	require.Zero(t, kept())
}
