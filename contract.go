package memstreamer

import (
	"context"
	"time"
)

// Header names one header of an event.
type Header string

// The headers a workflow engine sets on its events. Only HeaderTopic means
// anything to a streamer: see [EventSender].
const (
	HeaderWorkflowName  Header = "workflow_name"
	HeaderForeignID     Header = "foreign_id"
	HeaderTopic         Header = "topic"
	HeaderRunID         Header = "run_id"
	HeaderRunState      Header = "run_state"
	HeaderRecordVersion Header = "record_version"
	HeaderConnectorData Header = "connector_data"
)

// Event is one event as a receiver gets it. It belongs to whoever received it,
// who may change it and its Headers: each Recv makes a fresh copy. Its strings
// share one allocation: strings.Clone any that you keep for long.
type Event struct {
	// ID is the event's place in the whole log: 1, 2, 3 … across all topics.
	ID int64
	// ForeignID and Type are what Send was given as foreignID and statusType.
	ForeignID string
	Type      int
	// Headers holds what Send was given, nil if that was nil.
	Headers map[Header]string
	// CreatedAt is the time of the Send by the streamer's [Clock], as local time, as
	// time.Unix returns it. The times of concurrent Sends may be a little out of the
	// order of their IDs.
	CreatedAt time.Time
}

// Ack commits the event it came with: the consumer's position moves past that event,
// and no receiver of that consumer gets it again. It may be called from any
// goroutine, any number of times, after Recv's context is done, and after its
// receiver or streamer is closed. It never moves a position back, so a late Ack of an
// older event changes nothing. An implementation in memory always returns nil. A durable
// one returns nil once that is stored, unless it was told to return earlier: then a crash
// may take back the newest acks, and their events come again.
type Ack func() error

// EventStreamer makes the senders and receivers of one log of events. The
// contract, written down at the methods of these three interfaces, is that of
// the interface of the same name in luno/workflow v0.2.6 to v0.5.0, made
// precise where that is silent. All methods are safe for concurrent use.
type EventStreamer interface {
	// NewSender returns a sender for topic. It fails with ctx's error when ctx
	// is done, with ErrClosed after the streamer was closed, and with an error
	// that says so when topic is empty.
	NewSender(ctx context.Context, topic string) (EventSender, error)

	// NewReceiver returns a receiver of the consumer (topic, name), which reads topic
	// at that consumer's position. The same name on two topics is two consumers. A
	// position outlives its receivers: the next receiver of the consumer resumes
	// there, and receivers that are open together share it. A new consumer starts at
	// the oldest event kept (with [WithRetention], the oldest that is not past the
	// period), or later with [StreamFromLast] or [StreamFromLatest]. A receiver that
	// is [Ephemeral] is a consumer by itself, and is forgotten when it is closed. A
	// consumer that is made with [Shard] has a part of the topic's events, and keeps
	// that part.
	//
	// It fails with ctx's error when ctx is done, with ErrClosed after the
	// streamer was closed, with ErrShard when the consumer has another part, or all,
	// and with an error that says which when topic or name is empty, or an option is
	// nil or invalid.
	NewReceiver(ctx context.Context, topic string, name string, opts ...ReceiverOption) (EventReceiver, error)
}

// EventSender appends events to the log. Its methods are safe for concurrent
// use.
type EventSender interface {
	// Send appends an event, which every receiver of its topic can see once
	// Send has returned nil. The event's topic is headers[HeaderTopic] if that is
	// present and not empty, and otherwise the sender's own. Send keeps
	// no reference to headers.
	//
	// It fails, and appends nothing, with ctx's error when ctx is done and
	// otherwise with ErrClosed after the sender or its streamer was closed.
	Send(ctx context.Context, foreignID string, statusType int, headers map[Header]string) error

	// Close ends the sender's use; the events it sent stay. It may be called
	// again, and always returns nil.
	Close() error
}

// EventReceiver reads the events of one topic, or those of its [Shard], in the order of
// their IDs, each at least once. Its methods are safe for concurrent use.
type EventReceiver interface {
	// Recv returns the oldest of its events that its consumer has not acked, and the
	// Ack that commits it. It parks until there is one. Until that Ack is called, Recv of
	// every receiver of the consumer returns the same event.
	//
	// It fails with ctx's error when ctx is done, even with events waiting, and
	// otherwise with ErrClosed after the receiver or its streamer was closed;
	// either also wakes a Recv that is parked.
	Recv(ctx context.Context) (*Event, Ack, error)

	// Close ends the receiver's use and wakes its parked calls of Recv with
	// ErrClosed; its consumer's position stays, unless it is [Ephemeral]. It may be
	// called again. In memory it always returns nil.
	Close() error
}
