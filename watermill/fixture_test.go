package memwatermill_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type config = memwatermill.Config

const topic = "orders"

// fixture is what a test has: one streamer in memory, and a bubble of synctest, in
// which time passes only while everything waits. Its context never ends: a goroutine
// that outlives its PubSub fails the test.
type fixture struct {
	*testing.T
	ctx     context.Context
	memory  *memstreamer.StreamConstructor
	beneath memstreamer.EventStreamer // unless nil, what each PubSub gets in place of memory
	opened  []*memwatermill.PubSub
}

func inBubble(t *testing.T, test func(*fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fx := &fixture{T: t, ctx: context.Background(), memory: memstreamer.New()}
		defer func() {
			for _, p := range fx.opened {
				require.NoError(t, p.Close())
			}
		}()
		test(fx)
	})
}

func (fx *fixture) pubSub(c config) *memwatermill.PubSub {
	var streamer memstreamer.EventStreamer = fx.memory
	if fx.beneath != nil {
		streamer = fx.beneath
	}
	p, err := memwatermill.NewPubSub(streamer, c, nil)
	require.NoError(fx, err)
	fx.opened = append(fx.opened, p)
	return p
}

// eachKind runs f for the ways to subscribe, each with a topic of its own.
func eachKind(f func(c config, topic string)) {
	for _, lanes := range []int{1, 4} {
		f(config{Lanes: lanes}, fmt.Sprint("alone-", lanes))
	}
	eachGroup(f)
}

func eachGroup(f func(c config, topic string)) {
	for _, lanes := range []int{1, 4} {
		f(config{ConsumerGroup: "billing", Lanes: lanes}, fmt.Sprint("billing-", lanes))
	}
}

func sameKey(*message.Message) string { return "same" }

// publish publishes messages whose UUID and payload are each of texts.
func (fx *fixture) publish(topic string, texts ...string) {
	p, err := memwatermill.NewPubSub(fx.memory, config{}, nil)
	require.NoError(fx, err)
	for _, text := range texts {
		require.NoError(fx, p.Publish(topic, message.NewMessage(text, message.Payload(text))))
	}
}

func (fx *fixture) subscribe(p *memwatermill.PubSub, topic string) *deliveries {
	fx.Helper()
	in, err := fx.try(fx.ctx, p, topic)
	require.NoError(fx, err)
	return in
}

func (fx *fixture) try(ctx context.Context, p *memwatermill.PubSub, topic string) (*deliveries, error) {
	messages, err := p.Subscribe(ctx, topic)
	return &deliveries{fx.T, messages}, err
}

// deliveries are what Subscribe returns.
type deliveries struct {
	*testing.T
	messages <-chan *message.Message
}

// forever is longer than any delay or timeout of a test.
const forever = 24 * time.Hour

// take waits for a message. It returns nil if none comes, and whether the channel
// is open.
func (in *deliveries) take() (m *message.Message, open bool) {
	select {
	case m, open = <-in.messages:
		return m, open
	case <-time.After(forever):
		return nil, true
	}
}

// next waits for a message, which must have that UUID.
func (in *deliveries) next(uuid string) *message.Message {
	in.Helper()
	m, open := in.take()
	require.True(in, open, "the channel was closed before message %q came", uuid)
	require.NotNil(in, m, "message %q did not come", uuid)
	require.Equal(in, uuid, m.UUID)
	return m
}

// acked waits for messages with these UUIDs, and acks each. No other must come.
func (in *deliveries) acked(uuids ...string) {
	in.Helper()
	for _, uuid := range uuids {
		in.next(uuid).Ack()
	}
	in.none()
}

func (in *deliveries) none() {
	in.Helper()
	m, _ := in.take()
	require.Nil(in, m)
}

// ended waits until the channel is closed, with no message before.
func (in *deliveries) ended() {
	in.Helper()
	m, open := in.take()
	require.Nil(in, m)
	require.False(in, open, "the channel is open")
}

// start calls f, and returns the channel that gets its error.
func start(f func() error) <-chan error {
	returned := make(chan error, 1)
	go func() { returned <- f() }()
	return returned
}

var errFlaky = errors.New("the streamer's own error")

// faulty is a streamer in memory with some of its calls replaced. A receiver of which
// one Recv has failed fails for good, as one of JetStream whose consumer is gone.
type faulty struct {
	*memstreamer.StreamConstructor
	newReceiver func(context.Context) error
	send        func(ctx context.Context, pass func() error) error
	recv        func() error
	ack         func(delivery, attempt int64, commit memstreamer.Ack) error

	deliveries atomic.Int64
}

func (f *faulty) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	s, err := f.StreamConstructor.NewSender(ctx, topic)
	return &faultySender{s, f}, err
}

func (f *faulty) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if f.newReceiver != nil {
		return nil, f.newReceiver(ctx)
	}
	r, err := f.StreamConstructor.NewReceiver(ctx, topic, name, opts...)
	return &faultyReceiver{EventReceiver: r, faulty: f}, err
}

type faultySender struct {
	memstreamer.EventSender
	faulty *faulty
}

func (s *faultySender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	pass := func() error { return s.EventSender.Send(ctx, foreignID, statusType, headers) }
	if s.faulty.send == nil {
		return pass()
	}
	return s.faulty.send(ctx, pass)
}

type faultyReceiver struct {
	memstreamer.EventReceiver
	faulty *faulty
	failed error
}

func (r *faultyReceiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	if r.failed == nil && r.faulty.recv != nil {
		r.failed = r.faulty.recv()
	}
	if r.failed != nil {
		return nil, nil, r.failed
	}
	e, ack, err := r.EventReceiver.Recv(ctx)
	if err != nil || r.faulty.ack == nil {
		return e, ack, err
	}
	delivery := r.faulty.deliveries.Add(1)
	var attempts atomic.Int64
	return e, func() error { return r.faulty.ack(delivery, attempts.Add(1), ack) }, nil
}
