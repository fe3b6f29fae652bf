// Package othershape must not compile: its engine's events have another shape.
package othershape

import (
	"context"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/enginetest"
)

type event struct {
	ID        string // an int64 in the contract
	ForeignID string
	Type      int
	Headers   map[enginetest.Header]string
	CreatedAt time.Time
}

type receiver interface {
	Recv(ctx context.Context) (*event, enginetest.Ack, error)
	Close() error
}

type streamer interface {
	NewSender(ctx context.Context, topic string) (enginetest.EventSender, error)
	NewReceiver(ctx context.Context, topic string, name string, opts ...enginetest.ReceiverOption) (receiver, error)
}

var _ = memstreamer.As[streamer](memstreamer.New())
