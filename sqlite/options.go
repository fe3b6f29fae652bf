package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Option configures [New], which fails if a value is invalid.
type Option func(*options)

type options struct {
	prefix     string
	retention  time.Duration
	clock      memstreamer.Clock
	ackTimeout time.Duration
	ackDelay   time.Duration
	logger     *slog.Logger
}

// WithPrefix sets what the names of the tables begin with, before an underscore:
// letters, digits and underscores. The default is memstreamer. Streamers of
// different prefixes may share a database.
func WithPrefix(prefix string) Option {
	return func(o *options) { o.prefix = prefix }
}

// WithRetention drops events older than d that no consumer has un-acked, and
// consumers without a receiver for longer than d, as [memstreamer.WithRetention] does.
// A restart counts as use of every consumer. Rows are deleted a little after memory
// has dropped what is in them, by later calls of Send, Ack, NewReceiver, Forget and InTx: a
// streamer that is not used keeps what it has. The default, 0, is to keep everything;
// New fails if d is negative.
func WithRetention(d time.Duration) Option {
	return func(o *options) { o.retention = d }
}

// WithClock has events stamped with c's time. The default is time.Now.
func WithClock(c memstreamer.Clock) Option {
	return func(o *options) { o.clock = c }
}

// WithAckTimeout limits how long an Ack, which has no context, waits for the
// database, and how long Close waits to write acks that [WithAckDelay] has delayed. The
// default is 30 seconds.
func WithAckTimeout(d time.Duration) Option {
	return func(o *options) { o.ackTimeout = d }
}

// WithAckDelay lets an Ack return before it is stored. It is written with the next
// transaction, whichever call that is for, or after d if there is none by then, and by
// Close at the latest: most acks need no commit of their own. Receivers and Stats have
// the ack at once.
//
// A crash takes back the acks that were not written. Their events come again, as they do
// after a crash before an Ack. These are the acks of the last d or, while the database
// fails, of longer: the streamer tries again after each d, and the logger is told. A
// [Tx.Ack] is not delayed, nor is an Ack after Close. The default, 0, is to write each
// Ack before it returns; New fails if d is negative.
func WithAckDelay(d time.Duration) Option {
	return func(o *options) { o.ackDelay = d }
}

// WithLogger has l told what no call returns: which outcome a COMMIT had that
// failed and left it open. The default is to log nothing.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) { o.logger = l }
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

var prefixes = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func resolve(opts []Option) (options, error) {
	o := options{
		prefix:     "memstreamer",
		clock:      wallClock{},
		ackTimeout: 30 * time.Second,
		logger:     slog.New(slog.DiscardHandler),
	}
	for i, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("option %d of %d is nil", i+1, len(opts))
		}
		opt(&o)
	}
	switch {
	case !prefixes.MatchString(o.prefix):
		return o, fmt.Errorf("WithPrefix: %q is not a prefix of letters, digits and underscores", o.prefix)
	case o.retention < 0:
		return o, fmt.Errorf("WithRetention: %v is negative; 0 keeps everything", o.retention)
	case o.clock == nil:
		return o, errors.New("WithClock: the clock is nil")
	case o.ackTimeout <= 0:
		return o, fmt.Errorf("WithAckTimeout: %v is not positive", o.ackTimeout)
	case o.ackDelay < 0:
		return o, fmt.Errorf("WithAckDelay: %v is negative; 0 writes each Ack before it returns", o.ackDelay)
	case o.logger == nil:
		return o, errors.New("WithLogger: the logger is nil")
	}
	return o, nil
}
