package memstreamer

import (
	"context"
	"fmt"
	"time"
)

// As returns s as ES, an engine's own interface type in the shape of
// [EventStreamer], so that s plugs into an engine that neither knows of the
// other:
//
//	memstreamer.As[workflow.EventStreamer](memstreamer.New())
//
// ES is the only type to name; the engine's types of senders, receivers, events,
// acks, headers and options are inferred from its methods, and an engine of
// another shape does not compile. As works with any EventStreamer. On a
// [StreamConstructor] it costs nothing to speak of: headers and events are made
// in the engine's types at once. All views of one streamer share its log, and
// what the contract says of s holds for each.
//
// It panics when s is nil, and when ES, its sender or its receiver asks for a
// method beyond the contract, with a message that names the method.
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
	if s == nil {
		panic("memstreamer: As: the streamer is nil")
	}
	mustBe[S]("As", senderView[H]{})
	mustBe[R]("As", receiverView[E, A, H]{})
	return mustBe[ES]("As", streamerView[S, R, RO, E, A, H, O]{s})
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

// optionsShape is an engine's type of [ReceiverOptions].
type optionsShape interface {
	~struct {
		PollFrequency    time.Duration
		StreamFromLatest bool
	}
}

// mustBe returns view as I, an interface of the engine's. The constraints made
// sure of the contract's methods, so an assertion that fails names a method
// beyond them.
func mustBe[I any](caller string, view any) I {
	defer func() {
		if err := recover(); err != nil {
			panic(fmt.Sprintf("memstreamer: %s: the engine asks for more than the contract has: %v", caller, err))
		}
	}()
	return view.(I)
}

type streamerView[
	S senderShape[H],
	R receiverShape[E, A],
	RO ~func(*O),
	E eventShape[H],
	A ~func() error,
	H ~string,
	O optionsShape,
] struct{ streamer EventStreamer }

func (v streamerView[S, R, RO, E, A, H, O]) NewSender(ctx context.Context, topic string) (s S, err error) {
	inner, err := v.streamer.NewSender(ctx, topic)
	if err != nil {
		return s, err
	}
	own, _ := inner.(*sender)
	return any(senderView[H]{inner, own}).(S), nil
}

func (v streamerView[S, R, RO, E, A, H, O]) NewReceiver(ctx context.Context, topic string, name string, opts ...RO) (r R, err error) {
	converted := make([]ReceiverOption, len(opts))
	for i, opt := range opts {
		if opt == nil {
			continue
		}
		converted[i] = func(o *ReceiverOptions) {
			engine := O(*o)
			opt(&engine)
			*o = ReceiverOptions(engine)
		}
	}
	inner, err := v.streamer.NewReceiver(ctx, topic, name, converted...)
	if err != nil {
		return r, err
	}
	own, _ := inner.(*receiver)
	return any(receiverView[E, A, H]{inner, own}).(R), nil
}

// senderView is a sender in an engine's header type. Where the sender is a
// StreamConstructor's, own is that sender, and the engine's map goes there as
// it is.
type senderView[H ~string] struct {
	EventSender
	own *sender
}

func (v senderView[H]) Send(ctx context.Context, foreignID string, statusType int, headers map[H]string) error {
	if v.own != nil {
		return send(ctx, v.own, foreignID, statusType, headers)
	}
	return v.EventSender.Send(ctx, foreignID, statusType, convertHeaders[Header](headers))
}

// receiverView is a receiver in an engine's types. Where the receiver is a
// StreamConstructor's, own is that receiver, and events are unpacked into the
// engine's types at once.
type receiverView[
	E eventShape[H],
	A ~func() error,
	H ~string,
] struct {
	EventReceiver
	own *receiver
}

func (v receiverView[E, A, H]) Recv(ctx context.Context) (*E, A, error) {
	if v.own != nil {
		e, ack, err := v.own.next(ctx)
		if err != nil {
			return nil, nil, err
		}
		foreignID, statusType, headers := unpackEvent[H](e.payload)
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
