package fulfilment

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// handler does what the event with this key asks for.
type handler func(ctx context.Context, key eventKey) error

// consumer receives the events of one topic, and hands each to handle until
// that succeeds.
type consumer struct {
	engine *Engine
	topic  string
	name   string
	handle handler

	newestID int64 // of the events received: one that is no newer is a redelivery
	backoff  backoff
}

// run receives until ctx is done. It outlives the receiver: where that fails or
// a crash ends it, the next one of its name resumes at the event not acked.
func (c *consumer) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.receive(ctx)
		if ctx.Err() != nil {
			return
		}
		if crash, ok := errors.AsType[*crashError](err); ok {
			c.engine.hooks.Crashed(c.name, crash.reason, crash.stack)
		} else {
			c.engine.hooks.Failed(c.name, err)
		}
		c.backoff.wait(ctx)
	}
}

// receive opens a receiver and handles its events until the receiver fails,
// which the end of ctx makes it do, or until something panics.
func (c *consumer) receive(ctx context.Context) (err error) {
	receiver, err := c.engine.streamer.NewReceiver(ctx, c.topic, c.name)
	if err != nil {
		return err
	}
	defer func() {
		if reason := recover(); reason != nil {
			err = &crashError{reason, debug.Stack()}
		}
		err = errors.Join(err, receiver.Close())
	}()
	for {
		event, ack, err := c.recv(ctx, receiver)
		if err != nil {
			return err
		}
		key, err := event.key()
		if err == nil {
			err = c.handle(ctx, key)
		}
		switch {
		case err == nil:
			if err := ack(); err != nil {
				return err
			}
			c.engine.acked(event, key)
			c.backoff.reset()
		case ctx.Err() != nil:
			return err
		default:
			// Not acked, the event is what the next Recv returns.
			c.engine.hooks.Failed(c.name, err)
			c.backoff.wait(ctx)
		}
	}
}

func (c *consumer) recv(ctx context.Context, receiver EventReceiver) (*Event, Ack, error) {
	c.engine.waiting.Add(1)
	event, ack, err := receiver.Recv(ctx)
	c.engine.waiting.Add(-1)
	if err != nil {
		return nil, nil, err
	}
	c.engine.hooks.Received(c.name, event, event.ID <= c.newestID)
	c.newestID = max(c.newestID, event.ID)
	return event, ack, nil
}

// crashError is the panic that has ended a receiver.
type crashError struct {
	reason any
	stack  []byte
}

func (e *crashError) Error() string {
	return fmt.Sprintf("crashed: %v", e.reason)
}
