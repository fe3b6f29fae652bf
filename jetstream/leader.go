package jetstream

import (
	"context"
	"errors"
	"sync"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// term is the time with one connection, and with one leader of a stream or of a
// consumer. When it ends, the answers to what was asked in it may never come.
type term struct {
	mu  sync.Mutex
	ctx context.Context // nil if nobody has asked in this term
	end context.CancelFunc
}

// context returns a context that ends with the present term.
func (t *term) context() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx == nil {
		t.ctx, t.end = context.WithCancel(context.Background())
	}
	return t.ctx
}

// over ends the present term.
func (t *term) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx != nil {
		t.end()
		t.ctx = nil
	}
}

// stuckPatience is how long a leader may first say that a message is in process.
// An election takes less.
const stuckPatience = 2 * time.Second

// stuckID watches for a message ID that the leader of the stream never lets go.
//
// A leader notes the IDs of messages that it has not stored yet, and answers 10158
// to their repeats. One that steps down drops such messages. It should forget their
// IDs too, and keeps those in front of a message that its successor has stored
// meanwhile (processStreamLeaderChange of nats-server 2.15). Once it leads again,
// it answers 10158 until the end of the duplicate window. The message is lost
// there, and no other ID is safe: another copy of it may still be on its way. The
// other servers do not have the ID and store the message.
type stuckID struct {
	since time.Time     // when the server began to answer nothing but 10158
	limit time.Duration // how long it may
}

// answer takes the answer to an attempt. It returns since when the ID is stuck, if
// it is time for another leader. It waits twice as long each time: elections do not
// make a server faster that is only slow to store messages.
func (id *stuckID) answer(err error) (since time.Time, stuck bool) {
	api, ok := errors.AsType[*natsjs.APIError](err)
	switch inProcess := ok && api.ErrorCode == errCodeDuplicateInProcess; {
	case !inProcess:
		id.since = time.Time{}
	case id.since.IsZero():
		id.since = time.Now()
	case time.Since(id.since) >= id.limit:
		since, stuck = id.since, true
		id.since = time.Time{}
		id.limit *= 2
	}
	return since, stuck
}

// replaceLeader has another server lead the stream, unless that was done since
// then. The server need not answer: the next attempt tells.
func (s *Streamer) replaceLeader(ctx context.Context, then time.Time) {
	s.mu.Lock()
	done := s.replaced.After(then)
	if !done {
		s.replaced = time.Now()
	}
	s.mu.Unlock()
	if done {
		return
	}
	s.log.Warn("the stream's leader does not let go of a message that it lost: having another lead")
	subject := s.apiSubject("STREAM.LEADER.STEPDOWN." + s.opts.stream)
	if _, err := s.conn.RequestWithContext(ctx, subject, nil); err != nil {
		s.log.Warn("no answer of the stream's leader to a request to step down", "error", err)
	}
}
