package robustness_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/memstreamer/memstreamer/streamertest"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is the deadline for what a test waits for. It is longer than a
// cluster takes to elect a leader, and than AckWait.
const patience = time.Minute

// soon is the deadline for what has to happen without waiting for AckWait.
const soon = jetstream.AckWait * 2 / 3

// soonest is the deadline for what has to happen before the server's heartbeats
// are missed, for 10 s.
const soonest = 8 * time.Second

// streamName is the default's.
const streamName = "MEMSTREAMER"

// embed starts an embedded server on dir, which ends with t if not stopped before.
func embed(t testing.TB, dir string) (js natsjs.JetStream, stop func() error) {
	t.Helper()
	conn, stop, err := embedded.Start(dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, stop()) })
	js, err = natsjs.New(conn)
	require.NoError(t, err)
	return js, stop
}

func startEmbedded(t testing.TB) natsjs.JetStream {
	t.Helper()
	js, _ := embed(t, t.TempDir())
	return js
}

func newStreamer(t testing.TB, js natsjs.JetStream, opts ...jetstream.Option) *jetstream.Streamer {
	t.Helper()
	s, err := jetstream.New(t.Context(), js, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func newReceiver(t testing.TB, s memstreamer.EventStreamer, topic, name string, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
	t.Helper()
	r, err := s.NewReceiver(t.Context(), topic, name, opts...)
	require.NoError(t, err)
	return r
}

func send(t testing.TB, s memstreamer.EventStreamer, topic string, foreignIDs ...string) {
	t.Helper()
	snd, err := s.NewSender(t.Context(), topic)
	require.NoError(t, err)
	for _, foreignID := range foreignIDs {
		require.NoError(t, snd.Send(t.Context(), foreignID, 1, nil))
	}
	require.NoError(t, snd.Close())
}

// recv returns the Ack of the next event, which has to be that one and to come
// sooner than AckWait.
func recv(t testing.TB, r memstreamer.EventReceiver, foreignID string) memstreamer.Ack {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	e, ack, err := r.Recv(ctx)
	require.NoError(t, err)
	require.Equal(t, foreignID, e.ForeignID)
	return ack
}

// received is what a Recv in another goroutine returned.
type received struct {
	event *memstreamer.Event
	ack   memstreamer.Ack
	err   error
}

func start(ctx context.Context, r memstreamer.EventReceiver) <-chan received {
	done := make(chan received, 1)
	go func() {
		e, ack, err := r.Recv(ctx)
		done <- received{e, ack, err}
	}()
	return done
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

// consumers returns the consumers of the stream.
func consumers(t testing.TB, js natsjs.JetStream) (all []*natsjs.ConsumerInfo) {
	t.Helper()
	stream, err := js.Stream(t.Context(), streamName)
	require.NoError(t, err)
	list := stream.ListConsumers(t.Context())
	for info := range list.Info() {
		all = append(all, info)
	}
	require.NoError(t, list.Err())
	return all
}

// consumer returns the one consumer of the stream.
func consumer(t testing.TB, js natsjs.JetStream) *natsjs.ConsumerInfo {
	t.Helper()
	all := consumers(t, js)
	require.Len(t, all, 1)
	return all[0]
}

// parked waits until the server has n pull requests.
func parked(t testing.TB, js natsjs.JetStream, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		waiting := 0
		for _, info := range consumers(t, js) {
			waiting += info.NumWaiting
		}
		return waiting >= n
	}, patience, time.Millisecond)
}

func TestContractEmbedded(t *testing.T) {
	for name, storage := range map[string]natsjs.StorageType{"Memory": natsjs.MemoryStorage, "File": natsjs.FileStorage} {
		t.Run(name, func(t *testing.T) {
			js := startEmbedded(t)
			streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
				return newStreamer(t, js, jetstream.WithStorage(storage))
			}, streamertest.WithDeadline(soon), streamertest.WithQuiet(20*time.Millisecond))
		})
	}
}

func TestContractCluster(t *testing.T) {
	js := startCluster(t).connect(t)
	// A server that deletes its last stream removes the account's directory some
	// time later, and cannot make a stream in that moment: this one stays.
	_, err := js.CreateStream(t.Context(), natsjs.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}, Replicas: 3})
	require.NoError(t, err)
	streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
		// A stream for each subtest, deleted after it: a cluster has to keep up
		// every consumer that there ever was.
		stream := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
		t.Cleanup(func() { assert.NoError(t, js.DeleteStream(context.Background(), stream)) })
		return newStreamer(t, js, jetstream.WithStream(stream), jetstream.WithReplicas(3))
	}, streamertest.WithDeadline(patience), streamertest.WithQuiet(50*time.Millisecond))
}

func TestAs(t *testing.T) {
	// An engine's types, in the shape of the contract and named otherwise.
	type (
		header        string
		engineOptions struct {
			PollFrequency    time.Duration
			StreamFromLatest bool
		}
		engineEvent struct {
			ID        int64
			ForeignID string
			Type      int
			Headers   map[header]string
			CreatedAt time.Time
		}
		engineSender interface {
			Send(ctx context.Context, foreignID string, statusType int, headers map[header]string) error
			Close() error
		}
		engineReceiver interface {
			Recv(ctx context.Context) (*engineEvent, func() error, error)
			Close() error
		}
		engineStreamer interface {
			NewSender(ctx context.Context, topic string) (engineSender, error)
			NewReceiver(ctx context.Context, topic string, name string, opts ...func(*engineOptions)) (engineReceiver, error)
		}
	)
	s := memstreamer.As[engineStreamer](newStreamer(t, startEmbedded(t)))
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.NoError(t, snd.Send(t.Context(), "old", 1, nil))
	r, err := s.NewReceiver(t.Context(), "topic", "name", func(o *engineOptions) { o.StreamFromLatest = true })
	require.NoError(t, err)
	require.NoError(t, snd.Send(t.Context(), "new", 2, map[header]string{"Header": "value\nof two lines"}))
	e, ack, err := r.Recv(t.Context())
	require.NoError(t, err)
	require.NoError(t, ack())
	assert.Equal(t, "new", e.ForeignID)
	assert.Equal(t, 2, e.Type)
	assert.Equal(t, map[header]string{"Header": "value\nof two lines"}, e.Headers)
}

func TestNewRefuses(t *testing.T) {
	js := startEmbedded(t)
	for want, opts := range map[string][]jetstream.Option{
		"option 2 of 2 is nil":   {jetstream.WithReplicas(1), nil},
		"WithStream: \"\"":       {jetstream.WithStream("")},
		"WithStream: \"a.b\"":    {jetstream.WithStream("a.b")},
		"WithReplicas: 0":        {jetstream.WithReplicas(0)},
		"WithReplicas: 6":        {jetstream.WithReplicas(6)},
		"WithStorage: ":          {jetstream.WithStorage(natsjs.StorageType(7))},
		"WithMaxAge: 0s":         {jetstream.WithMaxAge(0)},
		"WithMaxBytes: -1":       {jetstream.WithMaxBytes(-1)},
		"WithMaxEvents: 0":       {jetstream.WithMaxEvents(0)},
		"WithConsumerInactivity": {jetstream.WithConsumerInactivity(0)},
		"WithAckTimeout: 0s":     {jetstream.WithAckTimeout(0)},
		"the logger is nil":      {jetstream.WithLogger(nil)},
	} {
		t.Run(want, func(t *testing.T) {
			s, err := jetstream.New(t.Context(), js, opts...)
			assert.Nil(t, s)
			assert.ErrorContains(t, err, want)
		})
	}
	t.Run("no JetStream", func(t *testing.T) {
		_, err := jetstream.New(t.Context(), nil)
		assert.ErrorContains(t, err, "js is nil")
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := jetstream.New(ctx, js)
		assert.Equal(t, context.Canceled, err)
	})
	t.Run("replicas without a cluster", func(t *testing.T) {
		_, err := jetstream.New(t.Context(), js, jetstream.WithReplicas(3))
		assert.ErrorContains(t, err, "replicas")
	})
}

func TestNewTwice(t *testing.T) {
	js := startEmbedded(t)
	opts := []jetstream.Option{
		jetstream.WithStream("ORDERS"), jetstream.WithStorage(natsjs.MemoryStorage),
		jetstream.WithMaxAge(time.Hour), jetstream.WithMaxBytes(1 << 20), jetstream.WithMaxEvents(1000),
		jetstream.WithConsumerInactivity(time.Hour), jetstream.WithLogger(slog.New(slog.DiscardHandler)),
	}
	first := newStreamer(t, js, opts...)
	second := newStreamer(t, js, opts...)
	send(t, first, "topic", "event")
	r := newReceiver(t, second, "topic", "name")
	require.NoError(t, recv(t, r, "event")())

	for want, opt := range map[string]jetstream.Option{
		"replicas is 1 and not 3":                  jetstream.WithReplicas(3),
		"storage is Memory and not File":           jetstream.WithStorage(natsjs.FileStorage),
		"max age is 1h0m0s and not 2h0m0s":         jetstream.WithMaxAge(2 * time.Hour),
		"max bytes is 1048576 and not 1":           jetstream.WithMaxBytes(1),
		"max messages is 1000 and not 2":           jetstream.WithMaxEvents(2),
		"consumer inactivity is 1h0m0s and not 1s": jetstream.WithConsumerInactivity(time.Second),
	} {
		t.Run(want, func(t *testing.T) {
			_, err := jetstream.New(t.Context(), js, append(opts, opt)...)
			require.ErrorContains(t, err, want)
			assert.Equal(t, 1, strings.Count(err.Error(), " and not "), "it names more than what differs: %v", err)
		})
	}
	t.Run("all of them", func(t *testing.T) {
		_, err := jetstream.New(t.Context(), js, jetstream.WithStream("ORDERS"))
		for _, name := range []string{"storage", "max age", "max bytes", "max messages", "consumer inactivity"} {
			assert.ErrorContains(t, err, name)
		}
	})
	t.Run("somebody else's stream", func(t *testing.T) {
		_, err := js.CreateStream(t.Context(), natsjs.StreamConfig{
			Name: "OTHER", Subjects: []string{"other"}, Retention: natsjs.WorkQueuePolicy, Discard: natsjs.DiscardNew,
			MaxMsgsPerSubject: 1, Duplicates: time.Second, NoAck: true,
		})
		require.NoError(t, err)
		_, err = jetstream.New(t.Context(), js, jetstream.WithStream("OTHER"))
		for _, name := range []string{"subjects", "retention policy", "discard policy", "max messages per subject", "duplicate window", "no ack"} {
			assert.ErrorContains(t, err, name)
		}
	})
}

// An ack is good while its event is out of one receiver's hands, and not yet in
// another's.
func TestAckBetweenReceivers(t *testing.T) {
	js := startEmbedded(t)
	here, there := newStreamer(t, js), newStreamer(t, js)
	send(t, here, "topic", "1", "2")
	first := newReceiver(t, here, "topic", "name")
	late := recv(t, first, "1")
	require.NoError(t, first.Close())
	second := newReceiver(t, there, "topic", "name")
	require.NoError(t, late())
	recv(t, second, "2")
}

// Of receivers that wait in two processes, one gets an event, and the other one
// when the first closes.
func TestGivenBackOnClose(t *testing.T) {
	js := startEmbedded(t)
	here, there := newStreamer(t, js), newStreamer(t, js)
	receivers := []memstreamer.EventReceiver{
		newReceiver(t, here, "topic", "name"),
		newReceiver(t, there, "topic", "name"),
	}
	calls := []<-chan received{start(t.Context(), receivers[0]), start(t.Context(), receivers[1])}
	parked(t, js, 2)
	send(t, here, "topic", "1")
	got, other := 0, 1
	select {
	case r := <-calls[0]:
		require.NoError(t, r.err)
	case r := <-calls[1]:
		require.NoError(t, r.err)
		got, other = 1, 0
	}
	require.NoError(t, receivers[got].Close())
	r := await(t, calls[other], soon)
	require.NoError(t, r.err)
	assert.Equal(t, "1", r.event.ForeignID)
	assert.NoError(t, r.ack())
}

// An event that comes when nobody waits for it any more goes back, so that it
// is not kept from those who wait elsewhere.
func TestGivenBackUnwanted(t *testing.T) {
	js := startEmbedded(t)
	here, there := newStreamer(t, js), newStreamer(t, js)
	idle := newReceiver(t, here, "topic", "name")
	ctx, cancel := context.WithCancel(t.Context())
	call := start(ctx, idle)
	parked(t, js, 1)
	cancel()
	require.ErrorIs(t, await(t, call, patience).err, context.Canceled)

	call = start(t.Context(), newReceiver(t, there, "topic", "name"))
	parked(t, js, 2)
	send(t, here, "topic", "1")
	r := await(t, call, soon)
	require.NoError(t, r.err)
	assert.Equal(t, "1", r.event.ForeignID)
}

// A server that crashes forgets the acks of its last moment. A process that
// lives on does not.
func TestServerForgetsAcks(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	send(t, s, "topic", "1", "2", "3")
	r := newReceiver(t, s, "topic", "name")
	require.NoError(t, recv(t, r, "1")())
	require.NoError(t, recv(t, r, "2")())
	_, err := js.ResetConsumerToSequence(t.Context(), streamName, consumer(t, js).Name, 1)
	require.NoError(t, err)
	require.NoError(t, recv(t, r, "3")())
	assert.EqualValues(t, 3, consumer(t, js).AckFloor.Stream)
}

func TestNotAnEvent(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	r := newReceiver(t, s, "topic", "name")
	published, err := js.Publish(t.Context(), streamName+".topic", []byte("not JSON"))
	require.NoError(t, err)
	send(t, s, "topic", "1")
	for range 2 {
		_, _, err = r.Recv(t.Context())
		require.ErrorContains(t, err, "message 1 on subject \"MEMSTREAMER.topic\" is not an event")
	}
	stream, err := js.Stream(t.Context(), streamName)
	require.NoError(t, err)
	require.NoError(t, stream.DeleteMsg(t.Context(), published.Sequence))
	require.Eventually(t, func() bool { return consumer(t, js).NumAckPending == 0 }, patience, time.Millisecond)
	recv(t, r, "1")
}

func TestCursorGone(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	send(t, s, "topic", "1")
	r := newReceiver(t, s, "topic", "name")
	ack := recv(t, r, "1")
	require.NoError(t, ack())
	call := start(t.Context(), r)
	parked(t, js, 1)
	require.NoError(t, js.DeleteConsumer(t.Context(), streamName, consumer(t, js).Name))
	require.ErrorContains(t, await(t, call, patience).err, "the cursor is gone from the server")
	_, _, err := r.Recv(t.Context())
	require.ErrorContains(t, err, "the cursor is gone from the server")
	require.NoError(t, r.Close())

	ack = recv(t, newReceiver(t, s, "topic", "name"), "1") // it is a new cursor
	require.NoError(t, js.DeleteConsumer(t.Context(), streamName, consumer(t, js).Name))
	require.ErrorContains(t, ack(), "event 1: not confirmed: the cursor is gone from the server")
}

func TestStreamGone(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	r := newReceiver(t, s, "topic", "name")
	call := start(t.Context(), r)
	parked(t, js, 1)
	require.NoError(t, js.DeleteStream(t.Context(), streamName))
	require.ErrorContains(t, await(t, call, patience).err, "the cursor is gone from the server")
	_, err := s.NewReceiver(t.Context(), "topic", "another")
	require.ErrorContains(t, err, "stream not found")
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.ErrorContains(t, snd.Send(t.Context(), "1", 1, nil), "stream \"MEMSTREAMER\" was deleted")
}

func TestForeignConsumer(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	_, err := js.CreateConsumer(t.Context(), streamName, natsjs.ConsumerConfig{Durable: "topic@name", AckPolicy: natsjs.AckAllPolicy})
	require.NoError(t, err)
	_, err = s.NewReceiver(t.Context(), "topic", "name")
	require.ErrorContains(t, err, "consumer \"topic@name\" is not a cursor of memstreamer")
}

func TestSendRefuses(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	snd, err := s.NewSender(t.Context(), "topic")
	require.NoError(t, err)
	require.ErrorContains(t, snd.Send(t.Context(), strings.Repeat("1", 2<<20), 1, nil), "maximum payload exceeded")
}

// A server may be reached under another name of its API.
func TestAPIPrefix(t *testing.T) {
	o := serverOptions(t)
	o.JetStreamDomain = "hub"
	srv := &singleServer{options: o}
	require.NoError(t, srv.start())
	t.Cleanup(srv.stop)
	conn := connect(t, srv.url()).Conn()
	domain, err := natsjs.NewWithDomain(conn, "hub")
	require.NoError(t, err)
	prefix, err := natsjs.NewWithAPIPrefix(conn, "$JS.hub.API.")
	require.NoError(t, err)
	for name, js := range map[string]natsjs.JetStream{"domain": domain, "prefix": prefix} {
		s := newStreamer(t, js)
		send(t, s, name, "1")
		require.NoError(t, recv(t, newReceiver(t, s, name, "name"), "1")())
	}
}

// An operator may forbid requests that wait for long, which are all of ours.
func TestRefusedPulls(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	r := newReceiver(t, s, "topic", "name")
	cfg := consumer(t, js).Config
	cfg.MaxRequestExpires = time.Second
	_, err := js.UpdateConsumer(t.Context(), streamName, cfg)
	require.NoError(t, err)
	_, _, err = r.Recv(t.Context())
	require.ErrorContains(t, err, "the server refuses pull requests: 409 Exceeded MaxRequestExpires of 1s")
}

func TestRetention(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js, jetstream.WithMaxEvents(2))
	r := newReceiver(t, s, "topic", "name")
	send(t, s, "topic", "1")
	ack := recv(t, r, "1")
	send(t, s, "topic", "2", "3", "4")
	require.NoError(t, ack(), "of an event that is no longer kept")
	require.NoError(t, recv(t, r, "3")())
	recv(t, r, "4")
	recv(t, newReceiver(t, s, "topic", "another"), "3")
}

// A cursor that nothing is asked of goes after its inactivity, and one with a
// Recv that waits does not.
func TestConsumerInactivity(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js, jetstream.WithConsumerInactivity(200*time.Millisecond))
	r := newReceiver(t, s, "topic", "used")
	call := start(t.Context(), r)
	parked(t, js, 1)
	require.NoError(t, newReceiver(t, s, "topic", "once").Close())
	require.Eventually(t, func() bool {
		_, err := js.Consumer(t.Context(), streamName, "topic@once")
		return err != nil
	}, patience, 10*time.Millisecond)
	_, err := js.Consumer(t.Context(), streamName, "topic@once")
	require.ErrorIs(t, err, natsjs.ErrConsumerNotFound)
	send(t, s, "topic", "1")
	require.NoError(t, await(t, call, patience).err)
}

// A cursor follows the setting when an operator has changed the stream's.
func TestConsumerInactivityChanged(t *testing.T) {
	js := startEmbedded(t)
	before := newStreamer(t, js, jetstream.WithConsumerInactivity(time.Hour))
	send(t, before, "topic", "1", "2")
	r := newReceiver(t, before, "topic", "name")
	require.NoError(t, recv(t, r, "1")())
	stream, err := js.Stream(t.Context(), streamName)
	require.NoError(t, err)
	cfg := stream.CachedInfo().Config
	cfg.ConsumerLimits.InactiveThreshold = 2 * time.Hour
	_, err = js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	after := newStreamer(t, js, jetstream.WithConsumerInactivity(2*time.Hour))
	recv(t, newReceiver(t, after, "topic", "name"), "2")
	assert.Equal(t, 2*time.Hour, consumer(t, js).Config.InactiveThreshold)
}
