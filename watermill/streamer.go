package memwatermill

import (
	"context"
	"time"

	"github.com/memstreamer/memstreamer"
)

// The streamer's interfaces with headers of the type of a message's metadata,
// which need not be copied then.
type (
	streamer interface {
		NewSender(ctx context.Context, topic string) (sender, error)
		NewReceiver(ctx context.Context, topic string, name string, opts ...option) (receiver, error)
	}
	sender interface {
		Send(ctx context.Context, foreignID string, statusType int, headers map[string]string) error
		Close() error
	}
	receiver interface {
		Recv(ctx context.Context) (*event, ack, error)
		Close() error
	}
	event struct {
		ID        int64
		ForeignID string
		Type      int
		Headers   map[string]string
		CreatedAt time.Time
	}
	ack     func() error
	option  func(*options)
	options struct {
		PollFrequency    time.Duration
		StreamFromLatest bool
	}
)

func view(s memstreamer.EventStreamer) streamer { return memstreamer.As[streamer](s) }

// What a streamer may have beyond the contract.
type (
	forgetter interface {
		Forget(ctx context.Context, topic, name string) error
	}
	observable interface {
		Stats() memstreamer.Stats
	}
)
