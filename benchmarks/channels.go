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
	return channelSender{c, topic}, nil
}

func (c *channels) NewReceiver(_ context.Context, topic, _ string) (bench.Receiver, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan *memstreamer.Event, channelBuffer)
	c.byTopic[topic] = append(c.byTopic[topic], ch)
	return channelReceiver(ch), nil
}

func (c *channels) Close() error { return nil }

type channelSender struct {
	channels *channels
	topic    string
}

func (s channelSender) Send(ctx context.Context, n int) error {
	foreignID, headers := bench.Outbox[memstreamer.Header](s.topic, n)
	event := &memstreamer.Event{ForeignID: foreignID, Type: bench.EventType, Headers: headers}
	s.channels.mu.Lock()
	receivers := s.channels.byTopic[s.topic]
	s.channels.mu.Unlock()
	for _, ch := range receivers {
		select {
		case ch <- event:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

type channelReceiver chan *memstreamer.Event

func (r channelReceiver) Recv(ctx context.Context) (string, func() error, error) {
	select {
	case event := <-r:
		return event.ForeignID, noAck, nil
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
}

func noAck() error { return nil }
