// Package jetstream is memstreamer's contract on NATS JetStream: an
// [memstreamer.EventStreamer] whose events and positions survive the process, on one
// machine or a cluster.
//
// All events are in one stream, and a topic is a subject of it. A consumer of
// memstreamer is a pull consumer of the server with one event out at a time, so that its
// ack floor is the position. It is durable, unless the receiver is
// [memstreamer.Ephemeral]. A [Streamer] holds only the events that its receivers are at:
//
//	Send  event → JSON → message with an ID, on subject STREAM.topic → stored
//	Recv  pull request → server's consumer topic@name → delivery, held here → event
//	Ack   +ACK on the delivery's reply subject → answer: the ack floor is past the event
//	      no answer → consumer info: past it, or still out → +ACK again
//	      no answer, and a killed server forgot the delivery → Recv until it is out, +ACK
//
// It keeps the contract of the interfaces in package memstreamer, with these
// differences, which a network brings:
//
//   - Event.ID is the event's sequence number in the stream: IDs rise, with gaps.
//     Event.CreatedAt is when the server stored the event, as local time.
//   - Send and Ack return nil once the server has confirmed them. An error leaves
//     open whether they took effect, unless it says what is wrong with an argument.
//   - Receivers of one name share its position across processes. An event is with one
//     process at a time. A receiver that is opened while an event is out takes it over
//     at once, even from a process that still works on it. A receiver that was open
//     before gets it when the receivers of that process are closed, or after [AckWait].
//   - A server that is killed may forget the acks of its last tenth of a second and
//     deliver their events again, unless [WithExactAcks] is given.
//   - Recv fails if its stream or consumer was deleted or made anew. Close the receiver
//     and open another, which starts at the position of the new consumer. An ephemeral
//     receiver makes another consumer by itself.
//
// Its tests run on nats-server 2.15.
package jetstream

import (
	"cmp"
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

// AckWait is how long an unacknowledged event stays with the process that received it.
// After that, receivers of the same name in other processes get it too.
const AckWait = 30 * time.Second

// Streamer is an [memstreamer.EventStreamer] on one JetStream stream. Its
// methods, and those of its senders and receivers, are safe for concurrent use.
type Streamer struct {
	js   natsjs.JetStream
	opts options
	log  *slog.Logger
	// clustered is set if a server may answer for a consumer that it does not lead.
	clustered bool
	home      string      // the server of the stream, which is on its own unless clustered
	acks      *ackRecords // nil without WithExactAcks

	owner

	advisories []*nats.Subscription
	status     chan nats.Status
	silent     chan struct{} // tells watchConnection of a request without an answer
	stopped    sync.WaitGroup

	// term is of the connection, and the leaders of the streams.
	term term

	inboxMu sync.Mutex // held with no other mutex
	inboxes []*inbox   // the oldest first; pull requests take the last

	mu       sync.Mutex
	cursors  map[string]*cursor // by consumer name; those in use
	replaced time.Time          // when replaceLeader last had the stream's leader replaced
}

// New returns a streamer on js, and makes the stream if there is none. It fails if
// a stream of that name has other settings, and names each that differs; if js or
// an option is nil or invalid; if the server has no JetStream; if ctx is done; and
// if the server stays unavailable for half a minute.
//
// The caller closes the connection of js, after the streamer. Connect with
// nats.MaxReconnects(-1): by default nats.go gives up after two minutes without a
// server.
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
		opts:    o,
		log:     o.logger.With("stream", o.stream),
		owner:   newOwner(js.Conn(), nil, "the streamer"),
		silent:  make(chan struct{}, 1),
		cursors: make(map[string]*cursor),
	}
	err = s.call(ctx, "New", func(ctx context.Context) error {
		if err := s.ensureStreams(ctx); err != nil {
			return err
		}
		return s.open()
	})
	if err != nil {
		s.close()
		s.unsubscribe()
		return nil, err
	}
	return s, nil
}

// open subscribes to what the server sends, and starts the streamer's goroutines.
func (s *Streamer) open() error {
	if _, err := s.inbox(); err != nil {
		return err
	}
	// What has another leader, or is gone or made anew, has lost pull requests and
	// other requests, and may not say so. Where this user may not subscribe to
	// advisories, the missing heartbeats and answers tell.
	for _, what := range s.advisorySubjects() {
		sub, err := s.subscribe("$JS.EVENT.ADVISORY."+what, s.advise)
		if err != nil {
			return err
		}
		s.advisories = append(s.advisories, sub)
	}
	s.status = s.conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	s.stopped.Go(s.watchConnection)
	return nil
}

// subscribe has f called for each message on subject, until it is unsubscribed.
func (s *Streamer) subscribe(subject string, f nats.MsgHandler) (*nats.Subscription, error) {
	sub, err := s.conn.Subscribe(subject, f)
	if err != nil {
		return nil, err
	}
	// A cursor has one event on its way at most. nats.go would drop those above
	// 64 MB.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	s.stopped.Add(1)
	ended := sync.OnceFunc(s.stopped.Done)
	sub.SetClosedHandler(func(string) { ended() })
	if !sub.IsValid() {
		// It closed before it had the handler, which may not be called any more.
		ended()
	}
	return sub, nil
}

func (s *Streamer) advisorySubjects() []string {
	subjects := []string{
		"STREAM.LEADER_ELECTED." + s.opts.stream, "CONSUMER.LEADER_ELECTED." + s.opts.stream + ".*",
		"STREAM.CREATED." + s.opts.stream, "STREAM.DELETED." + s.opts.stream, "CONSUMER.DELETED." + s.opts.stream + ".*",
	}
	if s.acks != nil {
		subjects = append(subjects, "STREAM.LEADER_ELECTED."+s.acks.name)
	}
	return subjects
}

// advise takes an advisory about a consumer, or about a stream.
func (s *Streamer) advise(m *nats.Msg) {
	about := strings.Split(m.Subject, ".")[3:] // $JS.EVENT.ADVISORY.
	elected := about[1] == "LEADER_ELECTED"
	switch {
	case about[0] == "CONSUMER":
		if c := s.cursor(about[3]); c != nil {
			c.term.over()
			c.advised(!elected)
		}
	case elected:
		s.term.over()
	default:
		for _, c := range s.allCursors() {
			c.advised(true)
		}
	}
}

// NewSender implements [memstreamer.EventStreamer]. It sends nothing to the server.
func (s *Streamer) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	s.mustBeMade()
	err := s.call(ctx, "NewSender", func(context.Context) error { return checkName("topic", topic) })
	if err != nil {
		return nil, err
	}
	return &sender{streamer: s, topic: topic, owner: newOwner(s.conn, &s.owner, "the sender of topic %q", topic)}, nil
}

// NewReceiver implements [memstreamer.EventStreamer]. The consumer is on the server
// when it returns. It fails if the server stays unavailable until ctx is done, or
// for half a minute.
//
// [memstreamer.StreamFromLast] counts back from the time on the server that leads the
// stream, whose clock also gives events their CreatedAt.
//
// The consumer of an [memstreamer.Ephemeral] receiver is deleted by Close, or by the
// server a minute after it last heard from the process. If it is gone while the
// receiver is open, Recv makes another, which resumes after the last acked event.
func (s *Streamer) NewReceiver(ctx context.Context, topic string, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	s.mustBeMade()
	r := &receiver{streamer: s, topic: topic, name: name}
	err := s.call(ctx, "NewReceiver", func(ctx context.Context) error {
		if err := checkConsumer(topic, name); err != nil {
			return err
		}
		o, err := memstreamer.ResolveReceiverOptions(opts...)
		if err != nil {
			return err
		}
		r.ephemeral = o.Ephemeral
		r.cursor, err = s.openCursor(ctx, topic, name, o)
		return ofConsumer(topic, name, err)
	})
	if err != nil {
		return nil, err
	}
	r.owner = newOwner(s.conn, &s.owner, "the receiver of topic %q and name %q", topic, name)
	return r, nil
}

func checkConsumer(topic, name string) error {
	return cmp.Or(checkName("topic", topic), checkName("name", name))
}

func checkName(what, name string) error {
	if name == "" {
		return fmt.Errorf("%s is empty", what)
	}
	return nil
}

// ofConsumer returns err with the topic and name that it is about.
func ofConsumer(topic, name string, err error) error {
	if err != nil {
		err = fmt.Errorf("topic %q and name %q: %w", topic, name, err)
	}
	return err
}

// Close closes the streamer and all its senders and receivers. Calls that wait return
// [memstreamer.ErrClosed]. Unacknowledged events go back to the server. Acks still
// succeed while the connection is open. Close waits for the streamer's goroutines and
// always returns nil. It may be called again.
func (s *Streamer) Close() error {
	s.mustBeMade()
	s.mu.Lock()
	cursors := s.cursors
	s.cursors = make(map[string]*cursor)
	first := s.ctx.Err() == nil
	s.close()
	s.mu.Unlock()

	for _, c := range cursors {
		c.leave()
		c.lostPull()
	}
	if first {
		s.unsubscribe()
		s.conn.RemoveStatusListener(s.status)
	}
	s.stopped.Wait()
	return nil
}

func (s *Streamer) unsubscribe() {
	for _, sub := range s.advisories {
		unsubscribe(sub)
	}
	s.closeInboxes()
}

// Forget deletes a consumer from the server: it then starts anew. Forget returns nil
// if there is none. Receivers in other processes, and Acks of events received before,
// then fail with an error that says that the cursor is gone. Ephemeral receivers are
// not affected. While the server is unavailable, Forget tries again until ctx is done,
// or for half a minute.
//
// It fails with ctx's error when ctx is done, with [memstreamer.ErrClosed] after
// Close, and with an error that says so when topic or name is empty or a receiver of
// the consumer is open in this process.
func (s *Streamer) Forget(ctx context.Context, topic, name string) error {
	s.mustBeMade()
	return s.call(ctx, "Forget", func(ctx context.Context) error {
		if err := checkConsumer(topic, name); err != nil {
			return err
		}
		key := consumerOf(topic, name)
		s.mu.Lock()
		c := s.cursors[key]
		open := c != nil && c.receivers > 0
		s.mu.Unlock()
		if open {
			return fmt.Errorf("a receiver of topic %q and name %q is open: close it first", topic, name)
		}
		if c != nil {
			c.fail(errCursorGone)
		}
		return ofConsumer(topic, name, s.deleteConsumer(ctx, key))
	})
}

// watchConnection tells cursors and requests of a new connection, and finds out
// whether the server hangs when a request got no answer.
func (s *Streamer) watchConnection() {
	for {
		select {
		case status, open := <-s.status:
			if !open {
				return
			}
			s.log.Info("connection status changed", "status", status.String())
			if status == nats.CLOSED {
				for _, c := range s.allCursors() {
					c.fail(nats.ErrConnectionClosed)
				}
				return
			}
			s.reconnected()
		case <-s.silent:
			s.probe()
		}
	}
}

// reconnected ends what the connection before took with it: pull requests, and
// answers and deliveries on their way.
func (s *Streamer) reconnected() {
	s.term.over()
	for _, c := range s.allCursors() {
		c.lostPull()
	}
}

func (s *Streamer) allCursors() []*cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.cursors))
}

// deliver takes the server's answer to a pull request: an event, or a status,
// which has no reply subject. Calls for one inbox do not overlap.
func (s *Streamer) deliver(in *inbox, m *nats.Msg) {
	if m.Reply == "" {
		consumer, pull, _ := strings.Cut(strings.TrimPrefix(m.Subject, in.subject+"."), ".")
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
	c.deliver(in, d)
}

func (s *Streamer) cursor(consumer string) *cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[consumer]
}

// giveBack has the server deliver d, which may be nil, again to whoever asks first.
// If that fails, the server does it after AckWait.
func (s *Streamer) giveBack(d *delivery) {
	if d == nil {
		return
	}
	if err := s.tell(d.msg.Reply, nakBody); err != nil {
		s.log.Debug("could not give an event back", "event", d.id, "error", err)
	}
}

// passOver acks d, which is of another shard, and does not wait for the answer. If that
// fails, check acks it, or the server delivers it again after AckWait.
func (s *Streamer) passOver(d *delivery) {
	if err := s.tell(d.msg.Reply, ackBody); err != nil {
		s.log.Debug("could not pass over an event", "event", d.id, "error", err)
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

func newOwner(conn *nats.Conn, of *owner, format string, args ...any) owner {
	o := owner{conn: conn, of: of, what: fmt.Sprintf(format, args...)}
	parent := context.Background()
	if of != nil {
		parent = of.ctx
	}
	o.ctx, o.close = context.WithCancel(parent)
	return o
}

// owner is what a call belongs to: a streamer, a sender or a receiver.
type owner struct {
	conn *nats.Conn
	what string // for errors
	of   *owner // the streamer of a sender or receiver

	// ctx ends when the owner, or what it is of, is closed.
	ctx   context.Context
	close context.CancelFunc
}

// call calls f for a call of method, with a context that ends with ctx and with o. Its
// error is ctx's error if ctx is done, else says what was closed, else wraps f's.
func (o *owner) call(ctx context.Context, method string, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := o.closed(); err != nil {
		return err
	}
	joined, stop := join(ctx, o.ctx)
	defer stop()
	err := f(joined)
	if err == nil {
		return nil
	}
	closed := o.closed()
	switch done := ctx.Err(); {
	case done == nil && closed != nil:
		err = closed
	case done == nil || o.conn.IsConnected() && errors.Is(err, done):
	case o.conn.IsConnected():
		err = fmt.Errorf("%w: %v", done, err)
	default:
		err = fmt.Errorf("%w: no connection to the server (%v)", done, o.conn.Status())
	}
	return fmt.Errorf("memstreamer/jetstream: %s: %w", method, err)
}

// closed returns an error that says what was closed, or nil.
func (o *owner) closed() error {
	switch {
	case o.ctx.Err() == nil:
		return nil
	case o.of != nil && o.of.ctx.Err() != nil:
		o = o.of
	}
	return fmt.Errorf("%w: %s", memstreamer.ErrClosed, o.what)
}

// join returns a context that is done as soon as ctx or owner is. The caller has to
// call stop.
func join(ctx, owner context.Context) (joined context.Context, stop func()) {
	joined, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(owner, cancel)
	return joined, func() {
		unlink()
		cancel()
	}
}

// mustBeMade panics for a Streamer that New has not made.
func (s *Streamer) mustBeMade() {
	if s == nil || s.js == nil {
		panic("memstreamer/jetstream: a nil or zero Streamer is not usable: make one with New")
	}
}
