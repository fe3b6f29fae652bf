package bench

import (
	"context"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/enginetest"
)

// As is memstreamer in the types of an engine.
func As() (Broker, error) {
	s := memstreamer.New()
	return engine{s, memstreamer.As[enginetest.EventStreamer](s)}, nil
}

type engine struct {
	*memstreamer.StreamConstructor
	view enginetest.EventStreamer
}

func (e engine) NewSender(topic string) (Sender, error) {
	sender, err := e.view.NewSender(context.Background(), topic)
	return Sender{Send: func(ctx context.Context, n int) error {
		foreignID, headers := Outbox[enginetest.Header](topic, n)
		return sender.Send(ctx, foreignID, EventType, headers)
	}}, err
}

func (e engine) NewReceiver(ctx context.Context, topic, name string) (Receiver, error) {
	receiver, err := e.view.NewReceiver(ctx, topic, name)
	return func(ctx context.Context) (string, func() error, error) {
		event, ack, err := receiver.Recv(ctx)
		if err != nil {
			return "", nil, err
		}
		return event.ForeignID, ack, nil
	}, err
}
