package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

const (
	// openTimeout limits how long New and NewReceiver try, if their context does
	// not.
	openTimeout = 30 * time.Second
	// retryDelay is the pause before a request is repeated that the server could
	// not serve just then.
	retryDelay = 100 * time.Millisecond
	// ackPatience is the timeout of an ack's first attempt.
	ackPatience = 250 * time.Millisecond
	// patience is the timeout of another request's first attempt. It doubles up to
	// maxPatience.
	patience    = time.Second
	maxPatience = 16 * time.Second
	// pongPatience is how long a server that has not answered a request may take to
	// answer a ping.
	pongPatience = time.Second
	// stopPatience is how long a connected server may have no JetStream: one that
	// stops closes its connections later than its JetStream.
	stopPatience = 2 * time.Second
)

var (
	// errNoLeader is an answer about a consumer from a server that does not lead it.
	errNoLeader = errors.New("the consumer has no leader")
	// errNoJetStream is returned where requests to JetStream reach nobody.
	errNoJetStream = errors.New("there is no JetStream on the server: it was started without -js, " +
		"or has switched JetStream off because its disk is full or its files cannot be written (its log says so), " +
		"or this user may not publish to $JS.API.>")
	// errNotStored is returned where the server answers, and does not confirm events.
	errNotStored = errors.New("the server does not store events: its disk may be full (its log says so)")
	// errNoRoom is returned where the server refuses for want of storage.
	errNoRoom = errors.New("the server has no room: free its disk, raise its max_file_store or the account's limit, " +
		"or have old events deleted with WithMaxAge or WithMaxBytes")
)

// apiSubject returns the subject on which the server takes a request to its API.
func (s *Streamer) apiSubject(request string) string {
	prefix := "$JS.API."
	switch o := s.js.Options(); {
	case o.Domain != "":
		prefix = "$JS." + o.Domain + ".API."
	case o.APIPrefix != "":
		prefix = strings.TrimSuffix(o.APIPrefix, ".") + "."
	}
	return prefix + request
}

// persist calls f, which sends a request that may be repeated, until the server
// can serve it or ctx is done. An attempt ends with the streamer's term, and one that
// runs out of time has the next take twice as long, for a server that is slow.
func (s *Streamer) persist(ctx context.Context, what string, first time.Duration, f func(context.Context) error) error {
	var off time.Time // JetStream seems to be off since
	for limit := first; ; {
		attempt, cancel := context.WithTimeout(ctx, limit)
		unlink := context.AfterFunc(s.term.context(), cancel)
		err := f(attempt)
		lost := errors.Is(err, context.Canceled) && ctx.Err() == nil // with the term
		retry := unavailable(err) || lost
		if retry {
			pause(attempt, retryDelay)
		}
		switch {
		case lost:
			limit = first
		case errors.Is(attempt.Err(), context.DeadlineExceeded):
			limit = min(2*limit, maxPatience)
			s.unanswered()
		}
		unlink()
		cancel()
		switch {
		case noRoom(err):
			return fmt.Errorf("%w: %w", errNoRoom, err)
		case !retry:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("the server is not available: %w", err)
		case errors.Is(err, nats.ErrNoResponders) && s.isOff():
			return fmt.Errorf("%w: %w", errNoJetStream, err)
		case !s.seemsOff(ctx, err):
			off = time.Time{}
		case off.IsZero():
			off = time.Now()
		case time.Since(off) >= stopPatience:
			return fmt.Errorf("%w: %w", errNoJetStream, err)
		}
		s.log.Warn("the server is not available, trying again", "for", what, "error", err)
	}
}

// persist is that of the streamer, for requests about the consumer: an attempt ends
// with the cursor's term, too.
func (c *cursor) persist(ctx context.Context, what string, first time.Duration, f func(context.Context) error) error {
	return c.streamer.persist(ctx, what, first, func(attempt context.Context) error {
		attempt, stop := join(attempt, c.term.context())
		defer stop()
		return f(attempt)
	})
}

// unanswered has watchConnection find out whether the server hangs, or is cut off.
func (s *Streamer) unanswered() {
	select {
	case s.silent <- struct{}{}:
	default: // it is about to
	}
}

// probe asks the server for a PONG. Without one, another server may be up, which
// nats.go would look for only after some missed pings of its own.
func (s *Streamer) probe() {
	if !s.conn.IsConnected() || !s.conn.Opts.AllowReconnect {
		return
	}
	if err := s.conn.FlushTimeout(pongPatience); errors.Is(err, nats.ErrTimeout) {
		s.log.Warn("the server does not answer at all, connecting again", "server", s.conn.ConnectedServerName())
		_ = s.conn.ForceReconnect() // which fails if the connection is closed
	}
}

// isOff reports whether the one server had JetStream switched off when it was
// connected to.
func (s *Streamer) isOff() bool {
	on, _ := s.conn.ConnectedServerJetStream()
	return !on && s.oneServer()
}

// oneServer reports whether no other server may have JetStream than the one that is
// connected to: it is in no cluster, and no leaf node of the one that has the stream.
func (s *Streamer) oneServer() bool {
	return s.conn.IsConnected() && s.conn.ConnectedClusterName() == "" && (s.home == "" || s.home == s.conn.ConnectedServerName())
}

// seemsOff reports whether a request failed with err because the one server has
// switched JetStream off since.
func (s *Streamer) seemsOff(ctx context.Context, err error) bool {
	if !s.oneServer() {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) && s.home != "" {
		// A server that has switched JetStream off keeps the API's subjects, and is
		// silent there. Nobody has those of the stream, which was there: this one it
		// would have to refuse.
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err = s.js.Publish(ctx, s.opts.stream+".none", nil, natsjs.WithExpectStream("none"), natsjs.WithRetryAttempts(0))
	}
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, natsjs.ErrNoStreamResponse)
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// notFound reports whether err says that a stream or a consumer does not exist.
func notFound(err error) bool {
	api, ok := errors.AsType[*natsjs.APIError](err)
	return ok && api.Code == 404
}

// Error codes of the server that nats.go has no names for.
const (
	errCodeAccountResources      natsjs.ErrorCode = 10002
	errCodeInsufficientResources natsjs.ErrorCode = 10023
	errCodeMemoryResources       natsjs.ErrorCode = 10028
	errCodeStorageResources      natsjs.ErrorCode = 10047
	errCodeStreamCreate          natsjs.ErrorCode = 10049
	errCodeDuplicateInProcess    natsjs.ErrorCode = 10158
)

// noRoom reports whether err says that storage is used up.
func noRoom(err error) bool {
	api, ok := errors.AsType[*natsjs.APIError](err)
	if !ok {
		return false
	}
	switch api.ErrorCode {
	case errCodeAccountResources, errCodeInsufficientResources, errCodeMemoryResources, errCodeStorageResources:
		return true
	}
	return strings.Contains(api.Description, "no space left")
}

// unavailable reports whether err is a passing state of the server, so that the
// same request may succeed later.
func unavailable(err error) bool {
	if noRoom(err) {
		return false
	}
	if api, ok := errors.AsType[*natsjs.APIError](err); ok {
		switch api.ErrorCode {
		case natsjs.JSErrCodeJetStreamNotEnabled, natsjs.JSErrCodeJetStreamNotEnabledForAccount:
			return false
		case errCodeDuplicateInProcess:
			return true
		case errCodeStreamCreate:
			// A server that deletes its last stream removes the account's directory
			// some time later, and fails to create a stream in that moment.
			return strings.Contains(api.Description, "error creating store")
		}
		return api.Code == 503
	}
	for _, momentary := range []error{
		context.DeadlineExceeded, // of one attempt
		errNoLeader,
		nats.ErrTimeout,
		nats.ErrNoResponders,
		nats.ErrDisconnected,
		nats.ErrReconnectBufExceeded,
		natsjs.ErrNoStreamResponse,
	} {
		if errors.Is(err, momentary) {
			return true
		}
	}
	return false
}
