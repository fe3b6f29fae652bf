package chaos

import (
	"context"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// forged is JetStream where a test changes what the server says of consumers.
type forged struct {
	natsjs.JetStream
	clustered bool
	info      func(*natsjs.ConsumerInfo)
}

func (f forged) Stream(ctx context.Context, name string) (natsjs.Stream, error) {
	stream, err := f.JetStream.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	return forgedStream{stream, f.clustered}, nil
}

func (f forged) Consumer(ctx context.Context, stream, name string) (natsjs.Consumer, error) {
	consumer, err := f.JetStream.Consumer(ctx, stream, name)
	if err != nil {
		return nil, err
	}
	return forgedConsumer{consumer, f.info}, nil
}

type forgedStream struct {
	natsjs.Stream
	clustered bool
}

func (f forgedStream) CachedInfo() *natsjs.StreamInfo {
	info := *f.Stream.CachedInfo()
	if f.clustered {
		info.Cluster = &natsjs.ClusterInfo{Name: "cluster"}
	}
	return &info
}

type forgedConsumer struct {
	natsjs.Consumer
	change func(*natsjs.ConsumerInfo)
}

func (f forgedConsumer) Info(ctx context.Context) (*natsjs.ConsumerInfo, error) {
	info, err := f.Consumer.Info(ctx)
	if err == nil {
		f.change(info)
	}
	return info, err
}
