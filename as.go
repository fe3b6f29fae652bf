package memstreamer

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// As returns s as ES, an engine's own interface in the shape of [EventStreamer],
// so that s plugs into the engine though neither package imports the other:
//
//	memstreamer.As[workflow.EventStreamer](memstreamer.New())
//
// ES is the only type to name. The engine's other types are inferred from its
// methods, and an engine of another shape does not compile. It has to have:
//
//	NewSender(ctx context.Context, topic string) (SENDER, error)
//	NewReceiver(ctx context.Context, topic string, name string, opts ...OPTION) (RECEIVER, error)
//
//	SENDER   interface: Send(ctx context.Context, foreignID string, statusType int, headers map[HEADER]string) error; Close() error
//	RECEIVER interface: Recv(ctx context.Context) (*EVENT, ACK, error); Close() error
//	OPTION   func(*OPTIONS)
//	ACK      func() error
//	HEADER   string
//	EVENT    struct { ID int64; ForeignID string; Type int; Headers map[HEADER]string; CreatedAt time.Time }
//	OPTIONS  struct { PollFrequency time.Duration; StreamFromLatest bool }
//
// Each word in capitals stands for a type of the engine with the underlying type
// shown. The structs have exactly these fields, in this order and without tags: the
// compiler rejects one that differs, but does not say in which field. For such an
// engine, copy the adapter of the package example AnotherShape.
//
// As works with any EventStreamer; on a [StreamConstructor] it adds no allocation.
// All views of one streamer share its log, and the contract of s holds for each. A
// view is a pointer: it equals itself and no other, and can be a key of a map.
//
// Through As, an engine can set the two options of OPTIONS alone. Package luno sets
// [StreamFromLast] and [Ephemeral] for the receivers of luno/workflow's Await, and
// [Shard] for those of its steps.
//
// It panics when s is nil, when ES, its sender or its receiver is not an interface,
// and when one of them asks for a method beyond the contract, with a message that
// names the type and the method.
func As[
	ES streamerShape[S, R, RO],
	S senderShape[H],
	R receiverShape[E, A],
	RO ~func(*O),
	E eventShape[H],
	A ~func() error,
	H ~string,
	O optionsShape,
](s EventStreamer) ES {
	if isNil(s) {
		panic("memstreamer: As: the streamer is nil")
	}
	mustBe[S]("As", &senderView[H]{})
	mustBe[R]("As", &receiverView[E, A, H]{})
	return mustBe[ES]("As", &streamerView[S, R, RO]{
		newSender: func(ctx context.Context, topic string) (S, error) {
			sender, err := s.NewSender(ctx, topic)
			return orNil[S](&senderView[H]{sender}, err)
		},
		newReceiver: func(ctx context.Context, topic, name string, opts []RO) (R, error) {
			converted := make([]ReceiverOption, len(opts))
			for i, opt := range opts {
				if opt != nil { // s refuses nil, and says which
					converted[i] = func(o *ReceiverOptions) {
						engine := O{o.PollFrequency, o.StreamFromLatest}
						opt(&engine)
						shape := engineOptions(engine)
						o.PollFrequency, o.StreamFromLatest = shape.PollFrequency, shape.StreamFromLatest
					}
				}
			}
			receiver, err := s.NewReceiver(ctx, topic, name, converted...)
			return orNil[R](&receiverView[E, A, H]{receiver}, err)
		},
	})
}

// AsConnector returns c as CC, an engine's own type of connector, as [As] does for
// a streamer. CC has the method Make(context.Context, string), whose consumers
// have Recv and Close, and whose events have the fields of [ConnectorEvent].
//
// It panics when c is nil, when CC or its consumer is not an interface, and when
// one of them asks for a method beyond the contract, with a message that names the
// type and the method.
func AsConnector[
	CC connectorShape[R],
	R receiverShape[E, A],
	E connectorEventShape,
	A ~func() error,
](c *Connector) CC {
	if c == nil {
		panic("memstreamer: AsConnector: the connector is nil")
	}
	mustBe[R]("AsConnector", &consumerView[E, A]{})
	return mustBe[CC]("AsConnector", &connectorView[R]{func(ctx context.Context, consumerName string) (R, error) {
		consumer, err := c.Make(ctx, consumerName)
		return orNil[R](&consumerView[E, A]{consumer}, err)
	}})
}

// isNil reports whether s is nil, or a nil pointer, map or function with methods.
func isNil(s EventStreamer) bool {
	switch v := reflect.ValueOf(s); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		return v.IsNil()
	}
	return false
}

type streamerShape[S, R, RO any] interface {
	NewSender(ctx context.Context, topic string) (S, error)
	NewReceiver(ctx context.Context, topic string, name string, opts ...RO) (R, error)
}

type senderShape[H ~string] interface {
	Send(ctx context.Context, foreignID string, statusType int, headers map[H]string) error
	Close() error
}

type receiverShape[E, A any] interface {
	Recv(ctx context.Context) (*E, A, error)
	Close() error
}

// eventShape is an engine's type of [Event].
type eventShape[H ~string] interface {
	~struct {
		ID        int64
		ForeignID string
		Type      int
		Headers   map[H]string
		CreatedAt time.Time
	}
}

// engineOptions are the receiver options that engines have, of [ReceiverOptions].
type engineOptions = struct {
	PollFrequency    time.Duration
	StreamFromLatest bool
}

type optionsShape interface{ ~engineOptions }

type connectorShape[R any] interface {
	Make(ctx context.Context, consumerName string) (R, error)
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

// mustBe returns view as I, a type of the engine's. It panics with what is wrong
// with I. The constraints ensure the contract's methods, so only others can be
// missing.
func mustBe[I any](caller string, view any) I {
	if v, ok := view.(I); ok {
		return v
	}
	engine := reflect.TypeFor[I]()
	if engine.Kind() != reflect.Interface {
		panic(fmt.Sprintf("memstreamer: %s: the engine's %v is not an interface: only an interface can hold memstreamer's", caller, engine))
	}
	// The runtime's error names the method. Asking reflect for it by name would make
	// the linker keep every exported method of the program.
	defer func() {
		err := recover().(error).Error()
		_, beyond, _ := strings.Cut(err, "missing method ")
		panic(fmt.Sprintf("memstreamer: %s: the engine's %v asks for a method beyond the contract: %s", caller, engine, beyond))
	}()
	return view.(I)
}

// orNil returns view as I, as mustBe does, or with an error the nil I.
func orNil[I any](view any, err error) (none I, _ error) {
	if err != nil {
		return none, err
	}
	return view.(I), nil
}

// streamerView is a streamer in an engine's types.
type streamerView[S, R, RO any] struct {
	newSender   func(ctx context.Context, topic string) (S, error)
	newReceiver func(ctx context.Context, topic, name string, opts []RO) (R, error)
}

func (v *streamerView[S, R, RO]) NewSender(ctx context.Context, topic string) (S, error) {
	return v.newSender(ctx, topic)
}

func (v *streamerView[S, R, RO]) NewReceiver(ctx context.Context, topic string, name string, opts ...RO) (R, error) {
	return v.newReceiver(ctx, topic, name, opts)
}

// senderView is a sender in an engine's type of header.
type senderView[H ~string] struct{ EventSender }

func (v *senderView[H]) Send(ctx context.Context, foreignID string, statusType int, headers map[H]string) error {
	if own, ok := v.EventSender.(*sender); ok {
		return send(ctx, own, foreignID, statusType, headers)
	}
	return v.EventSender.Send(ctx, foreignID, statusType, convertHeaders[Header](headers))
}

// receiverView is a receiver in an engine's types.
type receiverView[E eventShape[H], A ~func() error, H ~string] struct{ EventReceiver }

func (v *receiverView[E, A, H]) Recv(ctx context.Context) (*E, A, error) {
	if own, ok := v.EventReceiver.(*receiver); ok {
		e, ack, err := own.recv(ctx)
		if err != nil {
			return nil, nil, err
		}
		foreignID, statusType, headers := unpackEvent[H](string(e.payload))
		return &E{e.id, foreignID, statusType, headers, e.createdAt}, A(ack), nil
	}
	event, ack, err := v.EventReceiver.Recv(ctx)
	if err != nil {
		return nil, nil, err
	}
	return &E{event.ID, event.ForeignID, event.Type, convertHeaders[H](event.Headers), event.CreatedAt}, A(ack), nil
}

func convertHeaders[To, From ~string](headers map[From]string) map[To]string {
	if headers == nil {
		return nil
	}
	converted := make(map[To]string, len(headers))
	for name, value := range headers {
		converted[To(name)] = value
	}
	return converted
}

// connectorView is a connector in an engine's types.
type connectorView[R any] struct {
	newConsumer func(ctx context.Context, consumerName string) (R, error)
}

func (v *connectorView[R]) Make(ctx context.Context, consumerName string) (R, error) {
	return v.newConsumer(ctx, consumerName)
}

// consumerView is a consumer in an engine's types.
type consumerView[E connectorEventShape, A ~func() error] struct{ ConnectorConsumer }

func (v *consumerView[E, A]) Recv(ctx context.Context) (*E, A, error) {
	event, ack, err := v.ConnectorConsumer.Recv(ctx)
	if err != nil {
		return nil, nil, err
	}
	converted := E(*event)
	return &converted, A(ack), nil
}
