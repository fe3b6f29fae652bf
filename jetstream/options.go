package jetstream

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// Option configures [New], which fails if a value is invalid.
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

// WithReplicas keeps events and consumers on n servers of a cluster, from 1 to 5.
// More than half of them must be up. The default is 1.
func WithReplicas(n int) Option {
	return func(o *options) error {
		if n < 1 || n > 5 {
			return fmt.Errorf("WithReplicas: %d is not from 1 to 5", n)
		}
		o.replicas = n
		return nil
	}
}

// WithStorage keeps events and consumers in files or in the servers' memory. The
// default is natsjs.FileStorage.
func WithStorage(storage natsjs.StorageType) Option {
	return func(o *options) error {
		if storage != natsjs.FileStorage && storage != natsjs.MemoryStorage {
			return fmt.Errorf("WithStorage: %d is neither FileStorage nor MemoryStorage", storage)
		}
		o.storage = storage
		return nil
	}
}

// WithMaxAge has the server delete events older than d, even if they were never
// received. The default is to keep them.
func WithMaxAge(d time.Duration) Option {
	return func(o *options) error { return setPositive("WithMaxAge", &o.maxAge, d) }
}

// WithMaxBytes has the server delete the oldest events when all topics together
// hold more than n bytes, even if they were never received. The default is to keep
// them.
func WithMaxBytes(n int64) Option {
	return func(o *options) error { return setPositive("WithMaxBytes", &o.maxBytes, n) }
}

// WithMaxEvents has the server delete the oldest events when all topics together
// hold more than n, even if they were never received. The default is to keep them.
func WithMaxEvents(n int64) Option {
	return func(o *options) error { return setPositive("WithMaxEvents", &o.maxMsgs, n) }
}

// WithConsumerInactivity has the server delete a consumer that had no Recv and no Ack
// for d, so that names used once do not pile up. The default is to keep consumers
// forever; see [Streamer.Forget].
//
// Warning: a deleted consumer starts anew and gets old events again. Let d be longer
// than any process is away.
func WithConsumerInactivity(d time.Duration) Option {
	return func(o *options) error { return setPositive("WithConsumerInactivity", &o.inactivity, d) }
}

// WithAckTimeout limits how long an Ack, which has no context, waits for the
// server's confirmation. The default is 30 seconds.
func WithAckTimeout(d time.Duration) Option {
	return func(o *options) error { return setPositive("WithAckTimeout", &o.ackTimeout, d) }
}

// WithExactAcks keeps acked events from being delivered again after a server was
// killed.
//
// A server writes acks to disk ten times a second, and each message at once. A server
// that ends by kill -9 or a panic forgets the acks of the last tenth of a second. With
// this option an Ack also publishes the event's ID to a second stream, named like the
// first with _ACKS appended, and receivers skip what was acked.
//
// An Ack then sends one more message, along with the ack, and waits for both answers.
// If several processes ack events of one name, an Ack after one of another process
// takes two more round trips. One small message is kept for each consumer until
// [Streamer.Forget] or [WithConsumerInactivity] removes it.
//
// Every process that acks events of the stream must set it. It does not cover a loss
// of power, unless the server syncs each message to disk, nor an operator who resets a
// consumer.
func WithExactAcks() Option {
	return func(o *options) error {
		o.exactAcks = true
		return nil
	}
}

// WithLogger logs to l what the streamer recovers from by itself, such as
// reconnects and repeated requests. The default is to log nothing.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error {
		if l == nil {
			return errors.New("WithLogger: the logger is nil")
		}
		o.logger = l
		return nil
	}
}

func setPositive[N time.Duration | int64](option string, to *N, value N) error {
	if value <= 0 {
		return fmt.Errorf("%s: %v is not positive", option, value)
	}
	*to = value
	return nil
}

// keepsAll reports whether the server deletes no event by itself.
func (o options) keepsAll() bool { return o.maxAge == 0 && o.maxBytes < 0 && o.maxMsgs < 0 }

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
