// Package jetstream is memstreamer's contract on NATS JetStream: an
// [memstreamer.EventStreamer] whose events and cursors survive the process,
// for one machine or a cluster.
//
// All events are in one stream. A topic is a subject of it, and a cursor is a
// durable pull consumer that lets one event at a time out until its ack, so
// that its ack floor is the cursor. The server holds both; a [Streamer] keeps
// no more than the event that its receivers are at.
//
// The contract is that of the three interfaces in package memstreamer, with
// these differences, all of them because there is a network between:
//
//   - Event.ID is the event's sequence number in the stream, and
//     Event.CreatedAt the time at which the server stored it.
//   - Send and an Ack return once the server has confirmed them. An error from
//     either, other than one that says what is wrong with its arguments, leaves
//     open whether it took effect.
//   - Receivers of one name share its cursor across processes too, but between
//     processes an event is with one of them at a time. The next receiver to be
//     opened gets it at once; one that waits already gets it when those of the
//     process that has it are closed, or after [AckWait].
//   - A server writes its cursors to disk ten times a second. One that is killed
//     may have forgotten the acks of the last tenth, and then delivers their
//     events again. It does not where it is stopped, and a cluster does not with
//     [WithReplicas] of 3 while two of its servers go on.
//
// It needs a nats-server of version 2.14 or newer.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// AckWait is how long an event that was received and not acked stays with its
// process, before receivers of its name that already wait in another get it
// too: because that process died, or because it takes longer than this.
const AckWait = 30 * time.Second

// Streamer is an [memstreamer.EventStreamer] on one JetStream stream. Its
// methods, and those of its senders and receivers, are safe for concurrent use.
type Streamer struct {
	js   natsjs.JetStream
	conn *nats.Conn
	opts options
	log  *slog.Logger
	// clustered is set if a server may answer for a consumer that it does not lead.
	clustered bool
	acks      *ackRecords // nil without WithExactAcks

	// ctx ends when the streamer is closed.
	ctx   context.Context
	close context.CancelFunc

	// inbox is where the server delivers the events of all cursors. It outlives
	// each of them, so that an event delivered to one that was just closed is
	// given back rather than lost until AckWait.
	inbox   string
	subs    []*nats.Subscription
	status  chan nats.Status
	stopped sync.WaitGroup

	mu         sync.Mutex
	cursors    map[string]*cursor // by consumer name; those in use
	connected  context.Context    // ends when the connection is replaced by another
	disconnect context.CancelFunc
}

// New returns a streamer on js. It makes the stream where there is none, and
// fails where there is one with other settings, with an error that names each
// that differs. It fails with an error that says which when js is nil or an
// option is nil or invalid, with ctx's error when ctx is done, and after half a
// minute when the server is not available.
//
// js and its connection stay the caller's, to be closed after the streamer. A
// connection that should outlast a server's absence has to be made so, with
// nats.MaxReconnects(-1).
func New(ctx context.Context, js natsjs.JetStream, opts ...Option) (*Streamer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if js == nil {
		return nil, errors.New("memstreamer/jetstream: New: js is nil")
	}
	o, err := resolve(opts)
	if err != nil {
		return nil, fmt.Errorf("memstreamer/jetstream: New: %w", err)
	}

	s := &Streamer{
		js:      js,
		conn:    js.Conn(),
		opts:    o,
		log:     o.logger.With("stream", o.stream),
		inbox:   js.Conn().NewInbox(),
		cursors: make(map[string]*cursor),
	}
	s.ctx, s.close = context.WithCancel(context.Background())
	s.reconnected()
	if err := s.ensureStreams(ctx); err != nil {
		err = s.cause(ctx, s.ctx, err)
		s.close()
		return nil, fmt.Errorf("memstreamer/jetstream: New: %w", err)
	}
	if err := s.open(); err != nil {
		s.unsubscribe()
		s.close()
		return nil, fmt.Errorf("memstreamer/jetstream: New: %w", err)
	}
	return s, nil
}

// open subscribes, and starts the streamer's goroutines.
func (s *Streamer) open() error {
	if err := s.subscribe(s.inbox+".>", s.deliver); err != nil {
		return err
	}
	// What has another leader, or is gone or made anew, has lost the pull requests
	// and may not say so. Where this user may not subscribe to advisories, the
	// missing heartbeats tell.
	for _, what := range []string{"CONSUMER.LEADER_ELECTED.%s.*", "CONSUMER.DELETED.%s.*", "STREAM.DELETED.%s", "STREAM.CREATED.%s"} {
		if err := s.subscribe("$JS.EVENT.ADVISORY."+fmt.Sprintf(what, s.opts.stream), s.advise); err != nil {
			return err
		}
	}
	s.status = s.conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	s.stopped.Go(s.watchConnection)
	return nil
}

// subscribe has f called for each message on subject, until Close.
func (s *Streamer) subscribe(subject string, f nats.MsgHandler) error {
	sub, err := s.conn.Subscribe(subject, f)
	if err != nil {
		return err
	}
	// A cursor has one event on its way at most. nats.go would drop those above
	// 64 MB.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	s.subs = append(s.subs, sub)
	s.stopped.Add(1)
	ended := sync.OnceFunc(s.stopped.Done)
	sub.SetClosedHandler(func(string) { ended() })
	if !sub.IsValid() {
		// It closed before it had the handler, which may not be called any more.
		ended()
	}
	return nil
}

// advise takes an advisory about a consumer, or about the stream and so about all
// of them.
func (s *Streamer) advise(m *nats.Msg) {
	name := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	if name == s.opts.stream {
		for _, c := range s.allCursors() {
			c.doubtPull()
		}
	} else if c := s.cursor(name); c != nil {
		c.doubtPull()
	}
}

// NewSender implements [memstreamer.EventStreamer]. It does not ask the server.
func (s *Streamer) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if topic == "" {
		return nil, errors.New("memstreamer/jetstream: NewSender: topic is empty")
	}
	if s.ctx.Err() != nil {
		return nil, memstreamer.ErrClosed
	}
	snd := &sender{streamer: s, topic: topic}
	snd.ctx, snd.close = context.WithCancel(s.ctx)
	return snd, nil
}

// NewReceiver implements [memstreamer.EventStreamer]. The cursor is on the
// server when it returns. It fails after half a minute when the server is not
// available, where ctx is not done before.
func (s *Streamer) NewReceiver(ctx context.Context, topic string, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if topic == "" {
		return nil, errors.New("memstreamer/jetstream: NewReceiver: topic is empty")
	}
	if name == "" {
		return nil, errors.New("memstreamer/jetstream: NewReceiver: name is empty")
	}
	o, err := memstreamer.ResolveReceiverOptions(opts...)
	if err != nil {
		return nil, fmt.Errorf("memstreamer/jetstream: NewReceiver: %w", err)
	}
	if s.ctx.Err() != nil {
		return nil, memstreamer.ErrClosed
	}

	joined, stop := join(ctx, s.ctx)
	defer stop()
	c, err := s.openCursor(joined, topic, name, o.StreamFromLatest)
	if err != nil {
		return nil, fmt.Errorf("memstreamer/jetstream: NewReceiver(%q, %q): %w", topic, name, s.cause(ctx, s.ctx, err))
	}
	r := &receiver{streamer: s, cursor: c}
	r.ctx, r.close = context.WithCancel(s.ctx)
	return r, nil
}

// Close closes the streamer and with it all its senders and receivers: what
// waits in them returns ErrClosed. Events received and not acked go back to
// the server, and Acks still succeed while the connection is open. It waits
// for the streamer's goroutines, may be called again, and returns nil.
func (s *Streamer) Close() error {
	s.mu.Lock()
	cursors := s.cursors
	s.cursors = make(map[string]*cursor)
	first := s.ctx.Err() == nil
	s.close()
	s.mu.Unlock()

	for _, c := range cursors {
		c.giveBack()
		c.lostPull() // with the inbox
	}
	if first {
		s.unsubscribe()
		s.conn.RemoveStatusListener(s.status)
	}
	s.stopped.Wait()
	return nil
}

func (s *Streamer) unsubscribe() {
	for _, sub := range s.subs {
		// It fails only if the connection is closed, and sub with it.
		_ = sub.Unsubscribe()
	}
}

// Forget deletes the cursor of (topic, name) from the server, so that the name
// starts anew. It returns nil if there is none, an error if a receiver of it is
// open in this process, and [memstreamer.ErrClosed] after Close. Receivers of
// other processes fail with an error that says that the cursor is gone, and so
// do Acks of events received before. While the server is not available, Forget
// tries again until ctx is done, or for half a minute.
func (s *Streamer) Forget(ctx context.Context, topic, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.ctx.Err() != nil {
		return memstreamer.ErrClosed
	}
	key := consumerOf(topic, name)
	s.mu.Lock()
	c := s.cursors[key]
	open := c != nil && c.receivers > 0
	s.mu.Unlock()
	if open {
		return fmt.Errorf("memstreamer/jetstream: Forget: %q has an open receiver on %q: close it first", name, topic)
	}
	if c != nil {
		c.fail(errCursorGone)
	}

	joined, stop := join(ctx, s.ctx)
	defer stop()
	if err := s.deleteConsumer(joined, topic, name); err != nil {
		return fmt.Errorf("memstreamer/jetstream: Forget(%q, %q): %w", topic, name, s.cause(ctx, s.ctx, err))
	}
	return nil
}

// watchConnection tells the cursors and the requests under way of what they
// cannot see: a pull request does not survive its connection, and a delivery or
// an answer may have been lost with it.
func (s *Streamer) watchConnection() {
	for status := range s.status {
		s.log.Info("connection status changed", "status", status.String())
		closed := status == nats.CLOSED
		if !closed {
			s.reconnected()
		}
		for _, c := range s.allCursors() {
			if closed {
				c.fail(nats.ErrConnectionClosed)
			} else {
				c.lostPull()
			}
		}
		if closed {
			return
		}
	}
}

// reconnected ends the requests that were under way on the connection before.
func (s *Streamer) reconnected() {
	connected, disconnect := context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disconnect != nil {
		s.disconnect()
	}
	s.connected, s.disconnect = connected, disconnect
}

// connection returns a context that ends when another connection replaces the
// present one.
func (s *Streamer) connection() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected
}

func (s *Streamer) allCursors() []*cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.cursors))
}

// deliver takes what the server sends in answer to pull requests: an event, or
// a status, which has no reply subject. It runs on the subscription's own
// goroutine, one message after the other.
func (s *Streamer) deliver(m *nats.Msg) {
	if m.Reply == "" {
		consumer, pull, _ := strings.Cut(strings.TrimPrefix(m.Subject, s.inbox+"."), ".")
		if c := s.cursor(consumer); c != nil {
			c.pullStatus(pull, m.Header)
		}
		return
	}
	meta, err := m.Metadata()
	if err != nil {
		s.log.Warn("dropped a message that JetStream did not send", "subject", m.Subject, "error", err)
		return
	}
	d := &delivery{
		msg:       m,
		id:        int64(meta.Sequence.Stream),
		createdAt: meta.Timestamp,
	}
	c := s.cursor(meta.Consumer)
	if c == nil {
		s.giveBack(d)
		return
	}
	c.deliver(d)
}

func (s *Streamer) cursor(consumer string) *cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[consumer]
}

// giveBack has the server deliver events again, to whoever asks first. Where that
// fails, AckWait does it.
func (s *Streamer) giveBack(events ...*delivery) {
	for _, d := range events {
		if err := s.tell(d.msg.Reply, nakBody); err != nil {
			s.log.Debug("could not give an event back", "event", d.id, "error", err)
		}
	}
}

// tell sends body to the server, which does not answer.
func (s *Streamer) tell(subject, body string) error { return s.ask(subject, "", body) }

// ask sends body to the server, which answers on reply. It returns nil while the
// connection is lost: the cursors look again once there is another.
func (s *Streamer) ask(subject, reply, body string) error {
	err := s.conn.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: []byte(body)})
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		return nil
	}
	return err
}

// join returns a context that is done as soon as ctx or owner is, where owner
// is that of a sender, receiver or streamer. The caller calls stop when done.
func join(ctx, owner context.Context) (joined context.Context, stop func()) {
	joined, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(owner, cancel)
	return joined, func() {
		unlink()
		cancel()
	}
}

// cause returns err, what a call under the join of ctx and owner failed with,
// as the contract has it: with ctx's error where ctx is done, and otherwise
// ErrClosed where owner is.
func (s *Streamer) cause(ctx, owner context.Context, err error) error {
	done := ctx.Err()
	switch {
	case done == nil && owner.Err() == nil:
		return err
	case done == nil:
		return memstreamer.ErrClosed
	case !s.conn.IsConnected():
		return fmt.Errorf("%w: no connection to the server (%v)", done, s.conn.Status())
	case errors.Is(err, done):
		return err
	default:
		return fmt.Errorf("%w: %v", done, err)
	}
}
