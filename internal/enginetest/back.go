package enginetest

import (
	"context"
	"io"
	"slices"

	"github.com/memstreamer/memstreamer"
)

// Through returns s as it is seen through As by an engine, brought back to this
// module's types. Receivers with an option that the engine does not have come from s.
// It has a Close where s has one.
func Through(s memstreamer.EventStreamer) memstreamer.EventStreamer {
	view := through{Back(memstreamer.As[EventStreamer](s)), s}
	if closer, ok := s.(io.Closer); ok {
		return struct {
			memstreamer.EventStreamer
			io.Closer
		}{view, closer}
	}
	return view
}

type through struct {
	memstreamer.EventStreamer
	direct memstreamer.EventStreamer
}

func (s through) NewReceiver(ctx context.Context, topic string, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if slices.ContainsFunc(opts, unknown) {
		r, err := s.direct.NewReceiver(ctx, topic, name, opts...)
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	return s.EventStreamer.NewReceiver(ctx, topic, name, opts...)
}

// unknown reports whether opt, valid or not, is an option that the engine does not
// have. A nil one may be the engine's.
func unknown(opt memstreamer.ReceiverOption) bool {
	if opt == nil {
		return false
	}
	o, err := memstreamer.ResolveReceiverOptions(opt)
	return err != nil || o.StreamFromLast > 0 || o.Ephemeral || o.ShardCount > 0
}

// Back returns an engine's streamer in this module's types: the reverse of As.
func Back(s EventStreamer) memstreamer.EventStreamer {
	return streamer{s}
}

type streamer struct{ engine EventStreamer }

// NewSender passes on a sender that comes with an error, so that a test sees it.
func (s streamer) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	engine, err := s.engine.NewSender(ctx, topic)
	if engine == nil {
		return nil, err
	}
	return sender{engine}, err
}

// NewReceiver passes on a receiver that comes with an error, and an option that
// is nil, so that a test sees what becomes of them.
func (s streamer) NewReceiver(ctx context.Context, topic string, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	converted := make([]ReceiverOption, len(opts))
	for i, opt := range opts {
		if opt == nil {
			continue
		}
		converted[i] = func(o *ReceiverOptions) {
			own := memstreamer.ReceiverOptions{PollFrequency: o.PollFrequency, StreamFromLatest: o.StreamFromLatest}
			opt(&own)
			o.PollFrequency, o.StreamFromLatest = own.PollFrequency, own.StreamFromLatest
		}
	}
	engine, err := s.engine.NewReceiver(ctx, topic, name, converted...)
	if engine == nil {
		return nil, err
	}
	return receiver{engine}, err
}

type sender struct{ EventSender }

func (s sender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	var converted map[Header]string
	if headers != nil {
		converted = make(map[Header]string, len(headers))
	}
	for name, value := range headers {
		converted[Header(name)] = value
	}
	err := s.EventSender.Send(ctx, foreignID, statusType, converted)
	// The map is this sender's, and like any caller's it is changed afterwards.
	clear(converted)
	return err
}

type receiver struct{ EventReceiver }

func (r receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	e, ack, err := r.EventReceiver.Recv(ctx)
	if e == nil {
		return nil, memstreamer.Ack(ack), err
	}
	event := &memstreamer.Event{ID: e.ID, ForeignID: e.ForeignID, Type: e.Type, CreatedAt: e.CreatedAt}
	if e.Headers != nil {
		event.Headers = make(map[memstreamer.Header]string, len(e.Headers))
	}
	for name, value := range e.Headers {
		event.Headers[memstreamer.Header(name)] = value
	}
	// The event is this receiver's, and like any caller's it is changed.
	clear(e.Headers)
	*e = Event{}
	return event, memstreamer.Ack(ack), err
}
