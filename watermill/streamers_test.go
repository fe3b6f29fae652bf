package memwatermill_test

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/memstreamer/memstreamer"
)

type header = map[memstreamer.Header]string

// wrapped is a streamer whose senders and receivers do something else as well.
// It has none of the optional methods.
type wrapped struct {
	memstreamer.EventStreamer
	send func(send func() error) error
	recv func(recv func() (*memstreamer.Event, memstreamer.Ack, error)) (*memstreamer.Event, memstreamer.Ack, error)
}

func (w *wrapped) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	s, err := w.EventStreamer.NewSender(ctx, topic)
	return wrappedSender{s, w}, err
}

func (w *wrapped) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	r, err := w.EventStreamer.NewReceiver(ctx, topic, name, opts...)
	return wrappedReceiver{r, w}, err
}

type wrappedSender struct {
	memstreamer.EventSender
	by *wrapped
}

func (s wrappedSender) Send(ctx context.Context, foreignID string, statusType int, headers header) error {
	send := func() error { return s.EventSender.Send(ctx, foreignID, statusType, headers) }
	if s.by.send == nil {
		return send()
	}
	return s.by.send(send)
}

type wrappedReceiver struct {
	memstreamer.EventReceiver
	by *wrapped
}

func (r wrappedReceiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	recv := func() (*memstreamer.Event, memstreamer.Ack, error) { return r.EventReceiver.Recv(ctx) }
	if r.by.recv == nil {
		return recv()
	}
	return r.by.recv(recv)
}

var errFlaky = errors.New("the streamer's own error")

// flaky returns a streamer of which two in three calls of Send, Recv and Ack
// fail, and have no effect.
func flaky(s memstreamer.EventStreamer) memstreamer.EventStreamer {
	var calls atomic.Int64
	fails := func() bool { return calls.Add(1)%3 != 0 }
	return &wrapped{
		EventStreamer: s,
		send: func(send func() error) error {
			if fails() {
				return errFlaky
			}
			return send()
		},
		recv: func(recv func() (*memstreamer.Event, memstreamer.Ack, error)) (*memstreamer.Event, memstreamer.Ack, error) {
			if fails() {
				return nil, nil, errFlaky
			}
			e, ack, err := recv()
			return e, func() error {
				if fails() {
					return errFlaky
				}
				return ack()
			}, err
		},
	}
}
