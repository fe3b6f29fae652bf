package benchmarks

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/bench"
)

const (
	natsModule       = "github.com/nats-io/nats-server/v2"
	natsClientModule = "github.com/nats-io/nats.go"
)

const (
	streamName    = "events"
	subjectPrefix = streamName + "."
)

// jetStream is a server in this process, one stream in its memory, and one
// connection to it that is no socket.
type jetStream struct {
	jetstream.JetStream
	stop func() error
}

func newJetStream() (_ bench.Broker, err error) {
	conn, stop, err := startServer()
	if err != nil {
		return nil, err
	}
	j := jetStream{stop: stop}
	if j.JetStream, err = jetstream.New(conn); err == nil {
		_, err = j.CreateStream(context.Background(), jetstream.StreamConfig{
			Name:     streamName,
			Subjects: []string{subjectPrefix + ">"},
			Storage:  jetstream.MemoryStorage,
		})
	}
	if err != nil {
		return nil, errors.Join(err, j.stop())
	}
	return j, nil
}

func (j jetStream) Close() error { return j.stop() }

func (j jetStream) NewSender(topic string) (bench.Sender, error) {
	message := func(n int) *nats.Msg {
		_, headers := bench.Outbox[string](topic, n)
		msg := &nats.Msg{Subject: subjectPrefix + topic, Header: make(nats.Header, len(headers)), Data: []byte{bench.EventType}}
		for name, value := range headers {
			msg.Header[name] = []string{value}
		}
		return msg
	}
	return bench.Sender{
		// Send returns when the server has the event, as memstreamer's does.
		Send: func(ctx context.Context, n int) error {
			_, err := j.PublishMsg(ctx, message(n))
			return err
		},
		// SendAll does not wait for the server event by event.
		SendAll: func(ctx context.Context, events int) error {
			futures := make([]jetstream.PubAckFuture, events)
			for n := range events {
				var err error
				if futures[n], err = j.PublishMsgAsync(message(n), jetstream.WithStallWait(time.Minute)); err != nil {
					return err
				}
			}
			for _, future := range futures {
				select {
				case <-future.Ok():
				case err := <-future.Err():
					return err
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		},
	}, nil
}

func (j jetStream) NewReceiver(ctx context.Context, topic, name string) (bench.Receiver, error) {
	consumer, err := j.CreateOrUpdateConsumer(ctx, streamName, jetstream.ConsumerConfig{
		Durable:       topic + "-" + name,
		FilterSubject: subjectPrefix + topic,
	})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, messages.Stop)
	return func(ctx context.Context) (string, func() error, error) {
		// A receiver that outruns the renewal of its pull request, which it can when
		// the processors are busy, would wait in Next for half a minute: nats.go
		// v1.55.0 skips a renewal while one is under way. Calling Next again asks
		// for it again.
		msg, err := messages.Next(jetstream.NextMaxWait(20 * time.Millisecond))
		if errors.Is(err, nats.ErrTimeout) {
			msg, err = messages.Next(jetstream.NextContext(ctx))
		}
		if err != nil {
			return "", nil, err
		}
		return msg.Headers().Get(string(memstreamer.HeaderForeignID)), msg.Ack, nil
	}, nil
}
