package memwatermill_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

type config = memwatermill.Config

const topic = "orders"

// pubSub is what the tests see of a PubSub, so that a fault can be in between.
type pubSub interface {
	message.Publisher
	message.Subscriber
	message.SubscribeInitializer
}

// fixture is what a test has: one streamer in memory, and a bubble of synctest, in
// which time passes only while everything waits.
type fixture struct {
	ctx    context.Context // ends after the test
	memory *memstreamer.StreamConstructor
	// beneath, unless nil, is between memory and every PubSub.
	beneath memstreamer.EventStreamer
	opened  []pubSub

	// A fault sets one of these.
	configures func(*config)
	wraps      func(memstreamer.EventStreamer) memstreamer.EventStreamer
	covers     func(*fixture, *memwatermill.PubSub) pubSub
}

// failure is what a test panics with where it fails.
type failure struct{ error }

func failf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

func must(err error) {
	if err != nil {
		failf("%v", err)
	}
}

// refused fails if there is no error that says that.
func refused(err error, says string) {
	if err == nil || !strings.Contains(err.Error(), says) {
		failf("the error is %v, and not %q", err, says)
	}
}

func withFixture(t *testing.T, test func(*fixture)) {
	if err := try(t, test); err != nil {
		t.Error(err)
	}
}

// try runs test with a fixture, and returns its failure.
func try(t *testing.T, test func(*fixture)) (err error) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		fx := &fixture{ctx: ctx, memory: memstreamer.New()}
		defer func() {
			cancel()
			fx.close()
			failed := recover()
			if f, ok := failed.(failure); ok {
				err = f
			} else if failed != nil {
				panic(failed)
			}
		}()
		test(fx)
	})
	return err
}

// pubSub opens a PubSub, with the fault that fx may have.
func (fx *fixture) pubSub(c config) pubSub {
	var streamer memstreamer.EventStreamer = fx.memory
	if fx.beneath != nil {
		streamer = fx.beneath
	}
	if fx.wraps != nil {
		streamer = fx.wraps(streamer)
	}
	if fx.configures != nil {
		fx.configures(&c)
	}
	opened, err := memwatermill.NewPubSub(streamer, c, nil)
	must(err)
	p := pubSub(opened)
	if fx.covers != nil {
		p = fx.covers(fx, opened)
	}
	fx.opened = append(fx.opened, p)
	return p
}

func (fx *fixture) close() {
	for _, p := range fx.opened {
		_ = p.Close()
	}
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
	for _, text := range texts {
		must(fx.pubSub(config{}).Publish(topic, message.NewMessage(text, message.Payload(text))))
	}
}

func (fx *fixture) subscribe(p pubSub, topic string) deliveries {
	messages, err := p.Subscribe(fx.ctx, topic)
	must(err)
	return messages
}

// deliveries are what Subscribe returns.
type deliveries <-chan *message.Message

// forever is longer than any delay or timeout of a test.
const forever = 24 * time.Hour

// take waits for a message. It returns nil if none comes, and whether the channel
// is open.
func (in deliveries) take() (m *message.Message, open bool) {
	select {
	case m, open = <-in:
		return m, open
	case <-time.After(forever):
		return nil, true
	}
}

// next waits for a message, which must have that UUID.
func (in deliveries) next(uuid string) *message.Message {
	m, open := in.take()
	switch {
	case !open:
		failf("the channel was closed before message %q came", uuid)
	case m == nil:
		failf("message %q did not come", uuid)
	case m.UUID != uuid:
		failf("message %q came, and not %q", m.UUID, uuid)
	}
	return m
}

// none waits, and no message must come.
func (in deliveries) none() {
	if m, _ := in.take(); m != nil {
		failf("message %q came, and none should", m.UUID)
	}
}

// ended waits until the channel is closed, with no message before.
func (in deliveries) ended() {
	in.none()
	if _, open := in.take(); open {
		failf("the channel is not closed")
	}
}

// now waits until all that can happen without time passing has happened.
func now() { synctest.Wait() }

// start calls f, and returns the channel that gets its error.
func start(f func() error) <-chan error {
	returned := make(chan error, 1)
	go func() { returned <- f() }()
	return returned
}
