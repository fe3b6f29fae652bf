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

// world is what a test runs in: a bubble of synctest, in which time passes only
// while everything waits, with one streamer in memory.
type world struct {
	ctx    context.Context // ends after the test
	memory *memstreamer.StreamConstructor
	// beneath, unless nil, is between memory and every PubSub.
	beneath memstreamer.EventStreamer
	opened  []pubSub

	// A fault sets one of these.
	configures func(*config)
	wraps      func(memstreamer.EventStreamer) memstreamer.EventStreamer
	covers     func(*world, *memwatermill.PubSub) pubSub
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

func inWorld(t *testing.T, test func(*world)) {
	if err := try(t, test); err != nil {
		t.Error(err)
	}
}

// try runs test in a world, and returns its failure.
func try(t *testing.T, test func(*world)) (err error) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{ctx: ctx, memory: memstreamer.New()}
		defer func() {
			cancel()
			w.close()
			failed := recover()
			if f, ok := failed.(failure); ok {
				err = f
			} else if failed != nil {
				panic(failed)
			}
		}()
		test(w)
	})
	return err
}

// pubSub opens a PubSub, with the fault that w may have.
func (w *world) pubSub(c config) pubSub {
	var streamer memstreamer.EventStreamer = w.memory
	if w.beneath != nil {
		streamer = w.beneath
	}
	if w.wraps != nil {
		streamer = w.wraps(streamer)
	}
	if w.configures != nil {
		w.configures(&c)
	}
	opened, err := memwatermill.NewPubSub(streamer, c, nil)
	must(err)
	p := pubSub(opened)
	if w.covers != nil {
		p = w.covers(w, opened)
	}
	w.opened = append(w.opened, p)
	return p
}

func (w *world) close() {
	for _, p := range w.opened {
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
func (w *world) publish(topic string, texts ...string) {
	for _, text := range texts {
		must(w.pubSub(config{}).Publish(topic, message.NewMessage(text, message.Payload(text))))
	}
}

func (w *world) subscribe(p pubSub, topic string) inbox {
	messages, err := p.Subscribe(w.ctx, topic)
	must(err)
	return messages
}

// inbox is what Subscribe returns.
type inbox <-chan *message.Message

// forever is longer than any delay or timeout of a test.
const forever = 24 * time.Hour

// take waits for a message. It returns nil if none comes, and whether the channel
// is open.
func (in inbox) take() (m *message.Message, open bool) {
	select {
	case m, open = <-in:
		return m, open
	case <-time.After(forever):
		return nil, true
	}
}

// next waits for a message, which must have that UUID.
func (in inbox) next(uuid string) *message.Message {
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
func (in inbox) none() {
	if m, _ := in.take(); m != nil {
		failf("message %q came, and none should", m.UUID)
	}
}

// ended waits until the channel is closed, with no message before.
func (in inbox) ended() {
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
