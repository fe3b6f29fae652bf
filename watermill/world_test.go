package memwatermill_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// pubSub is what the checks see of a PubSub, so that a fault can be in between.
type pubSub interface {
	message.Publisher
	message.Subscriber
	message.SubscribeInitializer
}

// world is what a check runs in: a bubble of synctest, in which time passes only
// while everything waits, with one streamer in memory.
type world struct {
	memory *memstreamer.StreamConstructor
	// beneath, unless nil, is between memory and every PubSub. A fault's is too.
	beneath memstreamer.EventStreamer
	fault   fault

	ctx  context.Context // ends after the check
	open []pubSub
}

// check is one thing that the adapter promises. It fails by a panic with a
// failure.
type check struct {
	name string
	run  func(w *world)
}

type failure struct{ error }

func failf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

func must(err error) {
	if err != nil {
		failf("%v", err)
	}
}

// try returns the error of a check that fails.
func (c check) try(t *testing.T, f fault) (err error) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{memory: memstreamer.New(), fault: f, ctx: ctx}
		defer func() {
			cancel()
			for _, p := range w.open {
				_ = p.Close()
			}
			failed := recover()
			if f, ok := failed.(failure); ok {
				err = f
			} else if failed != nil {
				panic(failed)
			}
		}()
		c.run(w)
	})
	return err
}

// pubSub opens a PubSub, with a fault where w has one.
func (w *world) pubSub(config memwatermill.Config) pubSub {
	var streamer memstreamer.EventStreamer = w.memory
	if w.beneath != nil {
		streamer = w.beneath
	}
	if w.fault.streamer != nil {
		streamer = w.fault.streamer(streamer)
	}
	if w.fault.config != nil {
		w.fault.config(&config)
	}
	opened, err := memwatermill.NewPubSub(streamer, config, nil)
	must(err)
	p := pubSub(opened)
	if w.fault.pubSub != nil {
		p = w.fault.pubSub(w, opened)
	}
	w.open = append(w.open, p)
	return p
}

func (w *world) publish(topic string, messages ...*message.Message) {
	must(w.pubSub(memwatermill.Config{}).Publish(topic, messages...))
}

// texts returns messages whose UUID and payload are each of texts.
func texts(texts ...string) []*message.Message {
	messages := make([]*message.Message, len(texts))
	for i, text := range texts {
		messages[i] = message.NewMessage(text, message.Payload(text))
	}
	return messages
}

func (w *world) subscribe(p pubSub, topic string) <-chan *message.Message {
	messages, err := p.Subscribe(w.ctx, topic)
	must(err)
	return messages
}

// long is longer than any delay or timeout of a check.
const long = 24 * time.Hour

// next waits for a message, which must have that UUID.
func next(messages <-chan *message.Message, uuid string) *message.Message {
	select {
	case m, ok := <-messages:
		if !ok {
			failf("the channel was closed before message %q came", uuid)
		}
		if m.UUID != uuid {
			failf("message %q came, and not %q", m.UUID, uuid)
		}
		return m
	case <-time.After(long):
		failf("message %q did not come", uuid)
	}
	return nil
}

// none waits, and no message must come.
func none(messages <-chan *message.Message) {
	select {
	case m, ok := <-messages:
		if ok {
			failf("message %q came, and none should", m.UUID)
		}
	case <-time.After(long):
	}
}

// ended waits until the channel is closed, with no message before.
func ended(messages <-chan *message.Message) {
	select {
	case m, ok := <-messages:
		if ok {
			failf("message %q came after the end", m.UUID)
		}
	case <-time.After(long):
		failf("the channel is not closed")
	}
}

// now waits until all that can happen without time passing has happened.
func now() { synctest.Wait() }

// during runs f, which must return within d.
func during(what string, d time.Duration, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(d):
		failf("%s has not returned after %v", what, d)
	}
}

func isDone(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
