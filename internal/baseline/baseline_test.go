package baseline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/baseline"
	"github.com/memstreamer/memstreamer/streamertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	streamertest.Run(t, func(*testing.T) memstreamer.EventStreamer {
		return &whole{EventStreamer: baseline.NewPolling()}
	})
}

// whole adds what the baseline leaves out.
type whole struct {
	memstreamer.EventStreamer
	ephemeral atomic.Int64 // receivers
}

func (w *whole) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	if topic == "" {
		return nil, errors.New("the topic is empty")
	}
	s, err := w.EventStreamer.NewSender(ctx, topic)
	if err != nil {
		return nil, closed(err, "the streamer")
	}
	return wholeSender{s, topic}, nil
}

func (w *whole) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if topic == "" || name == "" {
		return nil, errors.New("the topic or the name is empty")
	}
	own := name
	if o, err := memstreamer.ResolveReceiverOptions(opts...); err == nil && o.Ephemeral {
		own = fmt.Sprint(name, "\x00", w.ephemeral.Add(1))
	}
	r, err := w.EventStreamer.NewReceiver(ctx, topic, own, opts...)
	if err != nil {
		return nil, closed(err, "the streamer")
	}
	return wholeReceiver{r, topic, name}, nil
}

func (w *whole) Close() error { return w.EventStreamer.(io.Closer).Close() }

// closed adds what was closed to an ErrClosed.
func closed(err error, what string) error {
	if errors.Is(err, memstreamer.ErrClosed) {
		return fmt.Errorf("%w: %s", err, what)
	}
	return err
}

type wholeSender struct {
	memstreamer.EventSender
	topic string
}

func (s wholeSender) Send(ctx context.Context, foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	err := s.EventSender.Send(ctx, foreignID, statusType, maps.Clone(headers))
	return closed(err, fmt.Sprintf("the streamer or the sender of topic %q", s.topic))
}

type wholeReceiver struct {
	memstreamer.EventReceiver
	topic, name string
}

func (r wholeReceiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	event, ack, err := r.EventReceiver.Recv(ctx)
	if err != nil {
		return nil, nil, closed(err, fmt.Sprintf("the streamer or the receiver of topic %q and name %q", r.topic, r.name))
	}
	own := *event
	own.Headers = maps.Clone(event.Headers)
	own.CreatedAt = time.Unix(0, event.CreatedAt.UnixNano())
	return &own, ack, nil
}
