// Package enginetest stands in for a workflow engine in tests. It declares an
// engine's own types in the shape of memstreamer's, as an engine does that never
// heard of it, and brings an engine's view of a streamer back to the contract, so
// that the tests of the contract run through [memstreamer.As]. It imports the root,
// and only tests import it.
package enginetest

import (
	"context"
	"time"
)

// Header is the engine's type of header names.
type Header string

// Event is the engine's event.
type Event struct {
	ID        int64
	ForeignID string
	Type      int
	Headers   map[Header]string
	CreatedAt time.Time
}

// Ack is the engine's acknowledgement.
type Ack func() error

// EventStreamer is what the engine asks of a streamer.
type EventStreamer interface {
	NewSender(ctx context.Context, topic string) (EventSender, error)
	NewReceiver(ctx context.Context, topic string, name string, opts ...ReceiverOption) (EventReceiver, error)
}

// EventSender is what the engine asks of a sender.
type EventSender interface {
	Send(ctx context.Context, foreignID string, statusType int, headers map[Header]string) error
	Close() error
}

// EventReceiver is what the engine asks of a receiver.
type EventReceiver interface {
	Recv(ctx context.Context) (*Event, Ack, error)
	Close() error
}

// ReceiverOptions is what the engine's options set.
type ReceiverOptions struct {
	PollFrequency    time.Duration
	StreamFromLatest bool
}

// ReceiverOption is the engine's option of a receiver.
type ReceiverOption func(*ReceiverOptions)
