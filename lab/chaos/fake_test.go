package chaos

import (
	"context"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// fake is JetStream where requests may fail before they reach the server, or answers
// are changed on their way. A nil func leaves them as they are.
type fake struct {
	natsjs.JetStream
	send         func(context.Context) error // of an event
	record       func(context.Context) error // of the record of an ack
	stream       func(context.Context) error // for a stream's info
	streamInfo   func(*natsjs.StreamInfo)
	consumerInfo func(*natsjs.ConsumerInfo)
	prefix       string // of the API, for pull requests
}

func try(ctx context.Context, f func(context.Context) error) error {
	if f == nil {
		return nil
	}
	return f(ctx)
}

// silence is what a request comes to that is not answered.
func silence(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (f fake) PublishMsg(ctx context.Context, m *nats.Msg, opts ...natsjs.PublishOpt) (*natsjs.PubAck, error) {
	if err := try(ctx, f.send); err != nil {
		return nil, err
	}
	return f.JetStream.PublishMsg(ctx, m, opts...)
}

func (f fake) Publish(ctx context.Context, subject string, body []byte, opts ...natsjs.PublishOpt) (*natsjs.PubAck, error) {
	if err := try(ctx, f.record); err != nil {
		return nil, err
	}
	return f.JetStream.Publish(ctx, subject, body, opts...)
}

func (f fake) Options() natsjs.JetStreamOptions {
	if f.prefix != "" {
		return natsjs.JetStreamOptions{APIPrefix: f.prefix}
	}
	return f.JetStream.Options()
}

func (f fake) Stream(ctx context.Context, name string) (natsjs.Stream, error) {
	if err := try(ctx, f.stream); err != nil {
		return nil, err
	}
	stream, err := f.JetStream.Stream(ctx, name)
	return fakeStream{stream, f}, err
}

type fakeStream struct {
	natsjs.Stream
	fake fake
}

func (s fakeStream) CachedInfo() *natsjs.StreamInfo {
	info := *s.Stream.CachedInfo()
	if s.fake.streamInfo != nil {
		s.fake.streamInfo(&info)
	}
	return &info
}

func (f fake) Consumer(ctx context.Context, stream, name string) (natsjs.Consumer, error) {
	consumer, err := f.JetStream.Consumer(ctx, stream, name)
	return fakeConsumer{consumer, f}, err
}

type fakeConsumer struct {
	natsjs.Consumer
	fake fake
}

func (c fakeConsumer) Info(ctx context.Context) (*natsjs.ConsumerInfo, error) {
	info, err := c.Consumer.Info(ctx)
	if err == nil && c.fake.consumerInfo != nil {
		c.fake.consumerInfo(info)
	}
	return info, err
}
