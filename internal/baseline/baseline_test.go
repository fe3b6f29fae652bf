package baseline_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"testing"

	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/baseline"
	"github.com/memstreamer/memstreamer/streamertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	streamertest.Run(t, func(*testing.T) memstreamer.EventStreamer { return whole{baseline.NewPolling()} })
}

// whole adds what the baseline leaves out: isolation, and the refusal of empty
// names.
type whole struct{ memstreamer.EventStreamer }

func (w whole) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	if topic == "" {
		return nil, errors.New("the topic is empty")
	}
	s, err := w.EventStreamer.NewSender(ctx, topic)
	if err != nil {
		return nil, err
	}
	return wholeSender{s}, nil
}

func (w whole) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if topic == "" || name == "" {
		return nil, errors.New("the topic or the name is empty")
	}
	r, err := w.EventStreamer.NewReceiver(ctx, topic, name, opts...)
	if err != nil {
		return nil, err
	}
	return wholeReceiver{r}, nil
}

func (w whole) Close() error { return w.EventStreamer.(io.Closer).Close() }

type wholeSender struct{ memstreamer.EventSender }

func (s wholeSender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	return s.EventSender.Send(ctx, foreignID, statusType, maps.Clone(headers))
}

type wholeReceiver struct{ memstreamer.EventReceiver }

func (r wholeReceiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	event, ack, err := r.EventReceiver.Recv(ctx)
	if err != nil {
		return nil, nil, err
	}
	own := *event
	own.Headers = maps.Clone(event.Headers)
	return &own, ack, nil
}
