package benchmarks

import (
	"context"

	"github.com/luno/workflow"
	adapter "github.com/luno/workflow/adapters/memstreamer"

	"github.com/memstreamer/memstreamer/internal/bench"
)

// newWorkflow is luno/workflow's own in-memory adapter.
func newWorkflow() (bench.Broker, error) { return engineStreamer{adapter.New()}, nil }

// engineStreamer is an EventStreamer of luno/workflow as a Broker. Nothing is
// converted: events have the engine's types from the outbox on.
type engineStreamer struct{ workflow.EventStreamer }

func (s engineStreamer) NewSender(topic string) (bench.Sender, error) {
	sender, err := s.EventStreamer.NewSender(context.Background(), topic)
	return bench.Sender{Send: func(ctx context.Context, n int) error {
		foreignID, headers := bench.Outbox[workflow.Header](topic, n)
		return sender.Send(ctx, foreignID, bench.EventType, headers)
	}}, err
}

// NewReceiver begins the name with the topic, as those of an engine's steps do: the
// cursors of the engine's adapter are by name alone.
func (s engineStreamer) NewReceiver(ctx context.Context, topic, name string) (bench.Receiver, error) {
	receiver, err := s.EventStreamer.NewReceiver(ctx, topic, topic+"-"+name)
	return func(ctx context.Context) (string, func() error, error) {
		event, ack, err := receiver.Recv(ctx)
		if err != nil {
			return "", nil, err
		}
		return event.ForeignID, ack, nil
	}, err
}

func (engineStreamer) Close() error { return nil }
