package memstreamer

import (
	"context"
	"errors"
	"time"
)

// ConnectorEvent is an event from outside an engine, as a consumer gets it. It
// belongs to whoever received it: each Recv makes a fresh copy. An engine's own
// type of the same fields converts to it: memstreamer.ConnectorEvent(e).
type ConnectorEvent struct {
	ID        string
	ForeignID string
	Type      string
	Headers   map[string]string
	CreatedAt time.Time // as it was added, as local time
}

// ConnectorConsumer reads a [Connector]'s events in the order in which they were
// added, each at least once. Its methods are safe for concurrent use.
type ConnectorConsumer interface {
	// Recv returns the oldest event that its consumer has not acked, and the Ack that
	// commits it. It parks until there is one. Its errors are those of [EventReceiver].
	Recv(ctx context.Context) (*ConnectorEvent, Ack, error)

	// Close ends the consumer's use and wakes its parked calls of Recv with
	// ErrClosed; its cursor stays. It may be called again, and always returns nil.
	Close() error
}

// Connector feeds an engine with events from outside. It is a log of one topic:
// its consumers have cursors by name, and park, as receivers do. Make one with
// [NewConnector]: the methods of the zero Connector panic. Its methods, and those of
// its consumers, are safe for concurrent use. A nil context panics.
type Connector struct {
	topic *topic
}

// connectorTopic is the one topic of a connector's log.
const connectorTopic = "connector"

// NewConnector returns a connector that holds a copy of events, which may be of
// an engine's own type in the shape of [ConnectorEvent]. It takes the options of
// [New]; [WithRetention] counts an event's age from when it was added, not from
// its CreatedAt. It panics for an option that is nil or that was given a nil or
// negative value.
//
// With no events to start from, name the type:
// NewConnector([]ConnectorEvent(nil)).
func NewConnector[E connectorEventShape](events []E, opts ...Option) *Connector {
	s := newStreamConstructor(resolve("NewConnector", opts))
	c := &Connector{topic: s.topic(connectorTopic)}
	c.topic.users++ // for as long as the connector lives
	converted := make([]ConnectorEvent, len(events))
	for i, event := range events {
		converted[i] = ConnectorEvent(event)
	}
	_ = c.Append(converted...) // fails only after Close
	return c
}

// streamer returns the streamer beneath.
func (c *Connector) streamer() *StreamConstructor {
	if c == nil || c.topic == nil {
		panic("memstreamer: a nil or zero Connector is not usable: make one with NewConnector")
	}
	return c.topic.streamer
}

// Append adds events in order, with none of another Append between them; every
// consumer can see them once it has returned nil. It keeps no reference to their
// headers. It fails with [ErrClosed], and adds none, after the connector was
// closed. Consumers wait while it adds: split a very large batch.
func (c *Connector) Append(events ...ConnectorEvent) error {
	streamer := c.streamer()
	payloads := make([][]byte, len(events))
	for i, event := range events {
		payloads[i] = packConnectorEvent(event)
	}

	now := streamer.lock()
	if err := streamer.closed; err != nil {
		streamer.sweepAndUnlock(now)
		return err
	}
	for i, event := range events {
		c.topic.append(streamer.nextID(), event.CreatedAt, now, payloads[i])
		streamer.retention.sweep(now, sweepLimit)
	}
	streamer.sweepAndUnlock(now)
	c.topic.all.changed.Broadcast()
	return nil
}

// Make returns a consumer that reads at the position of consumerName. A new consumer
// starts at the oldest event within the retention period. It fails with ctx's error when
// ctx is done, with [ErrClosed] after the connector was closed, and with an error that
// says so when consumerName is empty.
func (c *Connector) Make(ctx context.Context, consumerName string) (ConnectorConsumer, error) {
	streamer := c.streamer()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if consumerName == "" {
		return nil, errors.New("memstreamer: Make: consumerName is empty")
	}
	now := streamer.lock()
	defer streamer.sweepAndUnlock(now)
	if streamer.closed != nil {
		return nil, streamer.closed
	}
	r, err := streamer.newReceiver(connectorTopic, consumerName, ReceiverOptions{}, now)
	return orNil[ConnectorConsumer](connectorConsumer{r}, err)
}

// Stats returns a snapshot as [StreamConstructor.Stats] does. A connector has one
// topic, "connector"; its receivers are the consumers.
func (c *Connector) Stats() Stats { return c.streamer().Stats() }

// Close closes the connector and its consumers: parked calls of Recv wake with
// [ErrClosed]. Acks still succeed. It may be called again, and always returns nil.
func (c *Connector) Close() error { return c.streamer().close("the connector") }

type connectorConsumer struct{ *receiver }

// Recv implements [ConnectorConsumer].
func (c connectorConsumer) Recv(ctx context.Context) (*ConnectorEvent, Ack, error) {
	e, ack, err := c.recv(ctx)
	if err != nil {
		return nil, nil, err
	}
	event := unpackConnectorEvent(string(e.payload))
	event.CreatedAt = e.createdAt
	return &event, ack, nil
}
