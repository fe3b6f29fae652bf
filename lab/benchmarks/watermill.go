package benchmarks

import (
	"context"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/bench"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

const watermillModule = "github.com/ThreeDotsLabs/watermill"

func newWatermill() (bench.Broker, error) { return goChannel(gochannel.Config{}, outboxMessage), nil }

// PubSubs are Watermill Pub/Subs, memstreamer's first. The events of their benchmarks
// are messages as a service might send them.
var PubSubs = []Peer{
	{Name: "memstreamer", Title: "memstreamer", Open: ours(memwatermill.Config{})},
	{Name: "group", Title: "memstreamer, a group", Open: ours(memwatermill.Config{ConsumerGroup: "group"})},
	{Name: "lanes", Title: "memstreamer, a group with 16 lanes", Open: ours(memwatermill.Config{ConsumerGroup: "group", Lanes: 16})},
	{Name: "gochannel", Title: "GoChannel", Open: theirs(gochannel.Config{})},
	{Name: "gochannel-persistent", Title: "GoChannel, Persistent", Open: theirs(gochannel.Config{Persistent: true})},
	{Name: "gochannel-block", Title: "GoChannel, Block", Open: theirs(gochannel.Config{BlockPublishUntilSubscriberAck: true})},
}

func ours(config memwatermill.Config) bench.Open {
	config.CloseTimeout = time.Millisecond // of a subscriber that acks nothing
	return func() (bench.Broker, error) {
		pubSub, err := memwatermill.NewPubSub(memstreamer.New(), config, nil)
		return watermill{pubSub, serviceMessage}, err
	}
}

func theirs(config gochannel.Config) bench.Open {
	return func() (bench.Broker, error) { return goChannel(config, serviceMessage), nil }
}

func goChannel(config gochannel.Config, newMessage func(string, int) *message.Message) watermill {
	return watermill{gochannel.NewGoChannel(config, nil), newMessage}
}

// outboxMessage has the event's foreign ID for a name, which is cheaper than the
// random UUID that is usual.
func outboxMessage(topic string, n int) *message.Message {
	foreignID, headers := bench.Outbox[string](topic, n)
	m := message.NewMessage(foreignID, []byte{bench.EventType})
	m.Metadata = headers
	return m
}

func serviceMessage(_ string, n int) *message.Message {
	m := message.NewMessage(bench.ForeignID(n), make(message.Payload, 128))
	m.Metadata.Set("name", "OrderPlaced")
	m.Metadata.Set("correlation_id", m.UUID)
	return m
}

// watermill is a Watermill Pub/Sub as a Broker.
type watermill struct {
	pubSub interface {
		message.Publisher
		message.Subscriber
	}
	newMessage func(topic string, n int) *message.Message
}

func (w watermill) NewSender(topic string) (bench.Sender, error) {
	return bench.Sender{Send: func(_ context.Context, n int) error {
		return w.pubSub.Publish(topic, w.newMessage(topic, n))
	}}, nil
}

func (w watermill) NewReceiver(ctx context.Context, topic, _ string) (bench.Receiver, error) {
	messages, err := w.pubSub.Subscribe(ctx, topic)
	return func(ctx context.Context) (string, func() error, error) {
		select {
		case msg, ok := <-messages:
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
	}, err
}

func (w watermill) Close() error { return w.pubSub.Close() }
