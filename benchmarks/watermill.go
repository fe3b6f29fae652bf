package benchmarks

import (
	"context"
	"errors"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/memstreamer/memstreamer/internal/bench"
)

const watermillModule = "github.com/ThreeDotsLabs/watermill"

func newWatermill() (bench.Broker, error) {
	return watermill{gochannel.NewGoChannel(gochannel.Config{}, nil)}, nil
}

func newWatermillPersistent() (bench.Broker, error) {
	return watermill{gochannel.NewGoChannel(gochannel.Config{Persistent: true}, nil)}, nil
}

type watermill struct{ *gochannel.GoChannel }

func (w watermill) NewSender(topic string) (bench.Sender, error) {
	return watermillSender{w.GoChannel, topic}, nil
}

func (w watermill) NewReceiver(ctx context.Context, topic, _ string) (bench.Receiver, error) {
	messages, err := w.Subscribe(ctx, topic)
	return watermillReceiver(messages), err
}

type watermillSender struct {
	channel *gochannel.GoChannel
	topic   string
}

// Send names the message by its foreign ID, which is cheaper than the random
// UUID that is usual.
func (s watermillSender) Send(_ context.Context, n int) error {
	foreignID, headers := bench.Outbox[string](s.topic, n)
	msg := message.NewMessage(foreignID, []byte{bench.EventType})
	msg.Metadata = headers
	return s.channel.Publish(s.topic, msg)
}

type watermillReceiver <-chan *message.Message

func (r watermillReceiver) Recv(ctx context.Context) (string, func() error, error) {
	select {
	case msg, ok := <-r:
		if !ok {
			return "", nil, errors.New("the subscription was closed")
		}
		return msg.UUID, func() error {
			if !msg.Ack() {
				return errors.New("the message was nacked before")
			}
			return nil
		}, nil
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
}
