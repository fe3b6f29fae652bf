package memstreamer

import (
	"context"
	"errors"
	"time"
)

// ConnectorEvent is an event from outside an engine, as a consumer gets it. It
// belongs to whoever received it: each Recv makes a fresh copy.
type ConnectorEvent struct {
	ID        string
	ForeignID string
	Type      string
	Headers   map[string]string
	CreatedAt time.Time
}

// ConnectorConsumer reads a [Connector]'s events in the order in which they
// were added, each at least once. Its methods are safe for concurrent use.
type ConnectorConsumer interface {
	// Recv returns the oldest event that its consumer name has not acked, and
	// the Ack that commits it, parked until there is one. Its errors are those
	// of [EventReceiver].
	Recv(ctx context.Context) (*ConnectorEvent, Ack, error)

	// Close ends the consumer's use and wakes its parked calls of Recv with
	// ErrClosed; its cursor stays. It may be called again, and returns nil.
	Close() error
}

// Connector feeds an engine with events from outside. It is a log of one topic:
// its consumers have cursors by name, and park, as receivers do. Its methods,
// and those of its consumers, are safe for concurrent use.
type Connector struct {
	streamer *StreamConstructor
	sender   *sender // keeps the one topic
}

// connectorTopic is the one topic of a connector's log.
const connectorTopic = "connector"

// NewConnector returns a connector that holds a copy of events, of any type
// in the shape of [ConnectorEvent], an engine's own among them. The options are
// those of [New], and with [WithRetention] an event's age is counted from when
// it was added and not from its CreatedAt. It panics for an option that is nil
// or that was given a nil value.
func NewConnector[E connectorEventShape](events []E, opts ...Option) *Connector {
	s := newStreamConstructor(resolve("NewConnector", opts))
	s.mu.Lock()
	c := &Connector{streamer: s, sender: s.openSenderLocked(connectorTopic)}
	s.mu.Unlock()
	converted := make([]ConnectorEvent, len(events))
	for i, event := range events {
		converted[i] = ConnectorEvent(event)
	}
	// Only a connector that was closed refuses.
	_ = c.Append(converted...)
	return c
}

// connectorEventShape is an engine's type of [ConnectorEvent].
type connectorEventShape interface {
	~struct {
		ID        string
		ForeignID string
		Type      string
		Headers   map[string]string
		CreatedAt time.Time
	}
}

// Append adds events, in order and at once, which every consumer can see when
// Append has returned nil. It keeps no reference to their headers. It fails with
// ErrClosed, and adds none of them, after the connector was closed. Consumers
// have to wait while it adds many.
func (c *Connector) Append(events ...ConnectorEvent) error {
	now := c.streamer.now()
	entries := make([]entry, len(events))
	for i, event := range events {
		entries[i] = entry{createdAt: event.CreatedAt, payload: packConnectorEvent(event), added: now}
	}

	c.streamer.mu.Lock()
	defer c.streamer.mu.Unlock()
	if c.streamer.closed {
		return ErrClosed
	}
	for _, e := range entries {
		c.streamer.appendLocked(c.sender.topic, e)
	}
	c.sender.topic.changed.Broadcast()
	return nil
}

// Make returns a consumer that reads at the cursor of consumerName, which is
// made at the oldest event where there was none. It fails with ctx's error when
// ctx is done, with ErrClosed after the connector was closed, and with an error
// that says so when consumerName is empty.
func (c *Connector) Make(ctx context.Context, consumerName string) (ConnectorConsumer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if consumerName == "" {
		return nil, errors.New("memstreamer: Make: consumerName is empty")
	}
	r, err := c.streamer.openReceiver(connectorTopic, consumerName, ReceiverOptions{})
	if err != nil {
		return nil, err
	}
	return connectorConsumer{r}, nil
}

// Close closes the connector and its consumers: parked calls of Recv wake with
// [ErrClosed]. Acks still succeed. It may be called again, and returns nil.
func (c *Connector) Close() error {
	return c.streamer.Close()
}

type connectorConsumer struct{ *receiver }

// Recv implements [ConnectorConsumer].
func (c connectorConsumer) Recv(ctx context.Context) (*ConnectorEvent, Ack, error) {
	e, ack, err := c.next(ctx)
	if err != nil {
		return nil, nil, err
	}
	event := unpackConnectorEvent(e)
	return &event, ack, nil
}

func packConnectorEvent(event ConnectorEvent) string {
	var scratch [256]byte
	b := appendString(scratch[:0], event.ID)
	b = appendString(b, event.ForeignID)
	b = appendString(b, event.Type)
	b = appendHeaders(b, event.Headers)
	return string(b)
}

func unpackConnectorEvent(e entry) ConnectorEvent {
	event, payload := ConnectorEvent{CreatedAt: e.createdAt}, e.payload
	event.ID, payload = cutString(payload)
	event.ForeignID, payload = cutString(payload)
	event.Type, payload = cutString(payload)
	event.Headers = unpackHeaders[string](payload)
	return event
}

// AsConnector returns c as CC, an engine's own type of connector, as [As] does
// for a streamer. It panics when c is nil, and when CC or its consumer asks for
// a method beyond the contract, with a message that names the method.
func AsConnector[
	CC connectorShape[R],
	R receiverShape[E, A],
	E connectorEventShape,
	A ~func() error,
](c *Connector) CC {
	if c == nil {
		panic("memstreamer: AsConnector: the connector is nil")
	}
	mustBe[R]("AsConnector", consumerView[E, A]{})
	return mustBe[CC]("AsConnector", connectorView[R, E, A]{c})
}

type connectorShape[R any] interface {
	Make(ctx context.Context, consumerName string) (R, error)
}

type connectorView[
	R receiverShape[E, A],
	E connectorEventShape,
	A ~func() error,
] struct{ connector *Connector }

func (v connectorView[R, E, A]) Make(ctx context.Context, consumerName string) (r R, err error) {
	consumer, err := v.connector.Make(ctx, consumerName)
	if err != nil {
		return r, err
	}
	return any(consumerView[E, A]{consumer}).(R), nil
}

type consumerView[
	E connectorEventShape,
	A ~func() error,
] struct{ ConnectorConsumer }

func (v consumerView[E, A]) Recv(ctx context.Context) (*E, A, error) {
	event, ack, err := v.ConnectorConsumer.Recv(ctx)
	if err != nil {
		return nil, nil, err
	}
	converted := E(*event)
	return &converted, A(ack), nil
}
