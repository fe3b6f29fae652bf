package bench

import (
	"context"
	"io"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Memstreamer keeps everything.
func Memstreamer() (Broker, error) { return Streamer{memstreamer.New()}, nil }

// Retaining is memstreamer with a retention of period.
func Retaining(period time.Duration) Open {
	return func() (Broker, error) {
		return Streamer{memstreamer.New(memstreamer.WithRetention(period))}, nil
	}
}

// Streamer is an EventStreamer with a Close, as a Broker.
type Streamer struct{ memstreamer.EventStreamer }

// NewSender implements [Broker].
func (s Streamer) NewSender(topic string) (Sender, error) {
	sender, err := s.EventStreamer.NewSender(context.Background(), topic)
	return Sender{Send: func(ctx context.Context, n int) error {
		foreignID, headers := Outbox[memstreamer.Header](topic, n)
		return sender.Send(ctx, foreignID, EventType, headers)
	}}, err
}

// NewReceiver implements [Broker].
func (s Streamer) NewReceiver(ctx context.Context, topic, name string) (Receiver, error) {
	receiver, err := s.EventStreamer.NewReceiver(ctx, topic, name)
	return func(ctx context.Context) (string, func() error, error) {
		event, ack, err := receiver.Recv(ctx)
		if err != nil {
			return "", nil, err
		}
		return event.ForeignID, ack, nil
	}, err
}

// Close implements [Broker].
func (s Streamer) Close() error { return s.EventStreamer.(io.Closer).Close() }
