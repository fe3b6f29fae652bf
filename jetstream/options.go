package jetstream

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// Option configures [New]. One with an invalid value makes New fail.
type Option func(*options) error

type options struct {
	stream     string
	replicas   int
	storage    natsjs.StorageType
	maxAge     time.Duration
	maxBytes   int64
	maxMsgs    int64
	inactivity time.Duration
	ackTimeout time.Duration
	exactAcks  bool
	logger     *slog.Logger
}

// WithStream names the stream, which is also the first part of its subjects.
// The default is MEMSTREAMER.
func WithStream(name string) Option {
	return func(o *options) error {
		if name == "" || strings.ContainsAny(name, " \t\r\n\f.*>/\\") {
			return fmt.Errorf("WithStream: %q is not a stream's name: it is empty, or has a space or one of . * > / \\ in it", name)
		}
		o.stream = name
		return nil
	}
}

// WithReplicas keeps events and cursors on n servers of a cluster, 1 to 5: an
// odd number, of which more than half have to be up. The default is 1.
func WithReplicas(n int) Option {
	return func(o *options) error {
		if n < 1 || n > 5 {
			return fmt.Errorf("WithReplicas: %d is not from 1 to 5", n)
		}
		o.replicas = n
		return nil
	}
}

// WithStorage keeps events and cursors in files or in the servers' memory. The
// default is natsjs.FileStorage.
func WithStorage(storage natsjs.StorageType) Option {
	return func(o *options) error {
		if storage != natsjs.FileStorage && storage != natsjs.MemoryStorage {
			return fmt.Errorf("WithStorage: %v is neither FileStorage nor MemoryStorage", storage)
		}
		o.storage = storage
		return nil
	}
}

// WithMaxAge has the server delete events older than d, read or not. The
// default is to keep them.
func WithMaxAge(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("WithMaxAge: %v is not positive", d)
		}
		o.maxAge = d
		return nil
	}
}

// WithMaxBytes has the server delete the oldest events, read or not, when all
// topics together hold more than n bytes. The default is to keep them.
func WithMaxBytes(n int64) Option {
	return func(o *options) error {
		if n <= 0 {
			return fmt.Errorf("WithMaxBytes: %d is not positive", n)
		}
		o.maxBytes = n
		return nil
	}
}

// WithMaxEvents has the server delete the oldest events, read or not, when all
// topics together hold more than n. The default is to keep them.
func WithMaxEvents(n int64) Option {
	return func(o *options) error {
		if n <= 0 {
			return fmt.Errorf("WithMaxEvents: %d is not positive", n)
		}
		o.maxMsgs = n
		return nil
	}
}

// WithConsumerInactivity has the server delete a cursor for which nothing was
// asked or acked for d, so that names used once do not pile up. Its name starts
// anew after that: d should be longer than the longest downtime. A Recv that
// waits counts as asking. The default is to keep cursors for ever.
func WithConsumerInactivity(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("WithConsumerInactivity: %v is not positive", d)
		}
		o.inactivity = d
		return nil
	}
}

// WithAckTimeout limits how long an Ack, which has no context, waits for the
// server's confirmation. The default is 30 seconds.
func WithAckTimeout(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("WithAckTimeout: %v is not positive", d)
		}
		o.ackTimeout = d
		return nil
	}
}

// WithExactAcks has an acked event never come again after its server was killed.
// A server writes its cursors to disk ten times a second, and one that ends by
// kill -9 or a panic forgets the acks of the last tenth. It stores a message at
// once: with this option each Ack also publishes the event's ID to a second
// stream, named like the first with _ACKS appended, and a receiver that is opened
// passes over what was acked.
//
// It costs a message for each Ack, sent along with the ack, and keeps one small
// message for each cursor until [Streamer.Forget] or [WithConsumerInactivity]
// removes it. All processes that use the stream have to set it. It does not cover
// a loss of power, unless the server syncs each message to disk.
func WithExactAcks() Option {
	return func(o *options) error {
		o.exactAcks = true
		return nil
	}
}

// WithLogger has l told what the streamer gets over by itself: reconnects,
// repeated requests. The default is to log nothing.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error {
		if l == nil {
			return errors.New("WithLogger: the logger is nil")
		}
		o.logger = l
		return nil
	}
}

func resolve(opts []Option) (options, error) {
	o := options{
		stream:     "MEMSTREAMER",
		replicas:   1,
		storage:    natsjs.FileStorage,
		maxBytes:   -1,
		maxMsgs:    -1,
		ackTimeout: 30 * time.Second,
		logger:     slog.New(slog.DiscardHandler),
	}
	for i, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("option %d of %d is nil", i+1, len(opts))
		}
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}
