package benchmarks

import (
	"context"
	"sync"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/bench"
)

// channels is a fan-out over one buffered channel for each receiver: what is
// left when a streamer keeps nothing.
type channels struct {
	mu      sync.Mutex
	byTopic map[string][]chan *memstreamer.Event
}

const channelBuffer = 256

func newChannels() (bench.Broker, error) {
	return &channels{byTopic: make(map[string][]chan *memstreamer.Event)}, nil
}

func (c *channels) NewSender(topic string) (bench.Sender, error) {
	return bench.Sender{Send: func(ctx context.Context, n int) error {
		foreignID, headers := bench.Outbox[memstreamer.Header](topic, n)
		event := &memstreamer.Event{ForeignID: foreignID, Type: bench.EventType, Headers: headers}
		c.mu.Lock()
		receivers := c.byTopic[topic]
		c.mu.Unlock()
		for _, ch := range receivers {
			select {
			case ch <- event:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}}, nil
}

func (c *channels) NewReceiver(_ context.Context, topic, _ string) (bench.Receiver, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan *memstreamer.Event, channelBuffer)
	c.byTopic[topic] = append(c.byTopic[topic], ch)
	return func(ctx context.Context) (string, func() error, error) {
		select {
		case event := <-ch:
			return event.ForeignID, noAck, nil
		case <-ctx.Done():
			return "", nil, ctx.Err()
		}
	}, nil
}

func noAck() error { return nil }

func (c *channels) Close() error { return nil }
