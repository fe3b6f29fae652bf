package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

const (
	// pullHeartbeat is how often the server says that it still has a pull
	// request. After two of them in silence it is taken for lost.
	pullHeartbeat = 5 * time.Second
	// pullExpiry ends a pull request, so that one which nobody waits for any
	// more does not stay.
	pullExpiry = 2 * time.Minute
)

// cursor is the consumer of one (topic, name) as this process sees it, shared
// by its receivers here. It is in use while it has receivers, or a pull request
// that may still bring an event for the next one.
//
// It asks the server for one event at a time, and only while a Recv waits: an
// event nobody here waits for would be kept from those who do elsewhere. The
// pull request is the cursor's and not a Recv's, so that the end of one Recv
// neither loses a delivery nor disturbs another. That is why it is sent from
// here: those of nats.go end with their subscription, or ask ahead.
type cursor struct {
	streamer *Streamer
	consumer natsjs.Consumer
	name     string // of the consumer

	receivers int // guarded by the streamer's mu

	// acking is held during an ack. Of two that are under way for one event, the
	// server answers one.
	acking chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, when something below changes
	err     error         // what ended the cursor
	waiting int           // calls of next
	asking  bool          // one of those calls waits for the server's answer

	pulls   uint64      // counts the pull requests, and names the newest
	pulling bool        // the newest is with the server
	silence *time.Timer // runs while pulling, calls lostPull

	arrivals uint64    // counts what changed held.current
	held     *delivery // the event at the cursor, where it is here
	acked    int64     // confirmed acks of events up to this ID
	unsure   bool      // the server may have delivered what did not arrive
}

// openCursor returns the cursor of (topic, name) with one receiver more.
func (s *Streamer) openCursor(ctx context.Context, topic, name string, latest bool) (*cursor, error) {
	key := consumerOf(topic, name)
	if c := s.retainCursor(key, nil); c != nil {
		return c, nil
	}
	consumer, created, err := s.ensureConsumer(ctx, topic, name, latest)
	if err != nil {
		return nil, err
	}
	c := &cursor{
		streamer: s,
		consumer: consumer,
		name:     key,
		acking:   make(chan struct{}, 1),
		changed:  make(chan struct{}),
		// Whoever had this cursor before may have left with an event.
		unsure: !created,
	}
	c.silence = time.AfterFunc(2*pullHeartbeat, c.lostPull)
	c.silence.Stop()
	return s.retainCursor(key, c), nil
}

// retainCursor counts a receiver for the open cursor of that name and returns
// it. Where there is none it takes opened, which may be nil.
func (s *Streamer) retainCursor(name string, opened *cursor) *cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cursors[name]
	if c == nil && opened != nil {
		c = opened
		s.cursors[name] = c
	}
	if c != nil {
		c.receivers++
	}
	return c
}

// releaseCursor counts a receiver less. The last gives the event back.
func (s *Streamer) releaseCursor(c *cursor) {
	s.mu.Lock()
	c.receivers--
	last := c.receivers == 0
	s.mu.Unlock()
	if last {
		c.giveBack()
		s.dropUnused(c)
	}
}

// dropUnused forgets c where it is no longer in use.
func (s *Streamer) dropUnused(c *cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.receivers == 0 && !c.pulling && s.cursors[c.name] == c {
		delete(s.cursors, c.name)
	}
}

// next returns the event at the cursor, and waits until there is one.
func (c *cursor) next(ctx context.Context) (*delivery, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting++
	defer c.leave()
	began := c.arrivals
	for ctx.Err() == nil {
		switch {
		case c.err != nil:
			return nil, c.err
		case c.held != nil && c.held.current > began:
			c.held.returned = true
			return c.held, nil
		case c.asking:
			c.wait(ctx)
		case c.held != nil || c.unsure:
			// It was here before this call, and may have been acked elsewhere.
			if err := c.ask(ctx, c.check); err != nil {
				return nil, err
			}
		case !c.pulling:
			if err := c.ask(ctx, c.pull); err != nil {
				return nil, err
			}
		default:
			c.wait(ctx)
		}
	}
	return nil, ctx.Err()
}

// leave ends a call of next. An event that came too late for the last of them
// is not kept from those who wait elsewhere.
func (c *cursor) leave() {
	c.waiting--
	if d := c.held; c.waiting == 0 && d != nil && !d.returned {
		c.held = nil
		c.mu.Unlock()
		c.streamer.giveBack(d)
		c.mu.Lock()
	}
}

// wait returns, with the lock as before, when something changed or ctx is done.
func (c *cursor) wait(ctx context.Context) {
	changed := c.changed
	c.mu.Unlock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
	c.mu.Lock()
}

// changedLocked wakes the calls of next.
func (c *cursor) changedLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// ask calls f, which asks the server something, without the lock and for one
// call of next at a time.
func (c *cursor) ask(ctx context.Context, f func(context.Context) error) error {
	c.asking = true
	c.mu.Unlock()
	err := f(ctx)
	c.mu.Lock()
	c.asking = false
	c.changedLocked()
	return err
}

// pull asks the server for the next event.
func (c *cursor) pull(context.Context) error {
	c.mu.Lock()
	c.pulls++
	c.pulling = true
	reply := c.streamer.inbox + "." + c.name + "." + strconv.FormatUint(c.pulls, 10)
	c.silence.Reset(2 * pullHeartbeat)
	c.mu.Unlock()
	request := fmt.Sprintf(`{"batch":1,"expires":%d,"idle_heartbeat":%d}`, pullExpiry, pullHeartbeat)
	err := c.streamer.conn.PublishRequest(c.streamer.pullSubject(c.name), reply, []byte(request))
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		// The reconnect will have it sent again.
		return nil
	}
	return err
}

// check asks the server where the cursor is, to tell whether the held event is
// still to be had, and whether one is on its way that was lost.
func (c *cursor) check(ctx context.Context) error {
	c.mu.Lock()
	asked := c.held
	c.mu.Unlock()

	info, err := c.info(ctx)
	if err != nil {
		return err
	}

	out := info.NumAckPending > 0 // an event is delivered, and not acked
	c.mu.Lock()
	c.acked = max(c.acked, int64(info.AckFloor.Stream))
	if c.held != nil && c.held == asked {
		if out && int64(info.Delivered.Stream) == asked.id {
			c.arrivals++
			asked.current = c.arrivals
		} else {
			c.held = nil
		}
	}
	lost := c.unsure && out && c.held == nil
	if !lost {
		c.unsure = false
	}
	c.mu.Unlock()
	if !lost {
		return nil
	}

	// The server would deliver it again after AckWait. A reset to the ack floor
	// has it do so at once. The pull request follows whatever becomes of the
	// reset, since the server takes no ack for an event that it has yet to
	// deliver again.
	err = c.streamer.persist(ctx, "a cursor", patience, func(ctx context.Context) error {
		_, err := c.streamer.js.ResetConsumer(ctx, c.streamer.opts.stream, c.name)
		return err
	})
	if pullErr := c.pull(ctx); err == nil {
		err = pullErr
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.unsure = false
	c.mu.Unlock()
	return nil
}

// info asks the consumer's leader where it is. A consumer that is gone ends the
// cursor.
func (c *cursor) info(ctx context.Context) (info *natsjs.ConsumerInfo, err error) {
	err = c.streamer.persist(ctx, "a cursor", patience, func(ctx context.Context) (err error) {
		info, err = c.consumer.Info(ctx)
		if err == nil && c.streamer.clustered && (info.Cluster == nil || info.Cluster.Leader == "") {
			err = errNoLeader
		}
		return err
	})
	if notFound(err) {
		err = fmt.Errorf("the cursor is gone from the server: %w", err)
		c.fail(err)
	}
	return info, err
}

// fail ends the cursor. The next NewReceiver opens another.
func (c *cursor) fail(err error) {
	s := c.streamer
	s.mu.Lock()
	if s.cursors[c.name] == c {
		delete(s.cursors, c.name)
	}
	s.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	c.pulling = false
	c.silence.Stop()
	c.changedLocked()
}

// deliver takes an event from the server.
func (c *cursor) deliver(d *delivery) {
	c.mu.Lock()
	c.pulling = false
	c.silence.Stop()
	acked := d.id <= c.acked
	unwanted := !acked && c.waiting == 0
	switch {
	case acked:
	case c.held != nil && c.held.id == d.id:
		// Another copy, after an AckWait or a reset.
		unwanted = false
	case unwanted:
		c.held = nil
	default:
		// One event is out at a time: what was held is acked elsewhere.
		c.arrivals++
		d.current = c.arrivals
		c.held = d
	}
	c.changedLocked()
	c.mu.Unlock()

	if acked {
		// It was confirmed, and a server that crashed has forgotten.
		if err := d.msg.Ack(); err != nil {
			c.streamer.log.Debug("could not repeat an ack", "event", d.id, "error", err)
		}
	}
	if unwanted {
		c.streamer.giveBack(d)
	}
	c.streamer.dropUnused(c)
}

// pullStatus takes what the server has to say about a pull request.
func (c *cursor) pullStatus(pull string, h nats.Header) {
	status, description := h.Get("Status"), h.Get("Description")
	if status == "400" || status == "409" && strings.HasPrefix(description, "Exceeded") {
		c.fail(fmt.Errorf("the server refuses pull requests: %s %s", status, description))
		return
	}
	c.mu.Lock()
	if !c.pulling || pull != strconv.FormatUint(c.pulls, 10) {
		c.mu.Unlock()
		return
	}
	switch status {
	case "100": // a heartbeat
		c.silence.Reset(2 * pullHeartbeat)
	case "408": // it expired
		c.pulling = false
		c.silence.Stop()
		c.changedLocked()
	default:
		// The consumer changed its leader, has none at the moment, or is gone.
		c.streamer.log.Info("pull request ended", "consumer", c.name, "status", status, "description", description)
		c.silence.Reset(retryDelay)
	}
	c.mu.Unlock()
	c.streamer.dropUnused(c)
}

// lostPull has the next event asked for again.
func (c *cursor) lostPull() {
	c.mu.Lock()
	c.pulling = false
	c.unsure = true
	c.silence.Stop()
	c.changedLocked()
	c.mu.Unlock()
	c.streamer.dropUnused(c)
}

// giveBack returns the held event to the server, for those who wait elsewhere.
func (c *cursor) giveBack() {
	c.mu.Lock()
	d := c.held
	c.held = nil
	c.mu.Unlock()
	if d != nil {
		c.streamer.giveBack(d)
	}
}

// ack commits d, with the server's confirmation.
func (c *cursor) ack(d *delivery) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.streamer.opts.ackTimeout)
	defer cancel()
	err := c.confirm(ctx, d)
	if err != nil {
		return fmt.Errorf("memstreamer/jetstream: Ack of event %d: not confirmed: %w", d.id, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked = max(c.acked, d.id)
	if c.held != nil && c.held.id <= c.acked {
		c.held = nil
	}
	c.changedLocked()
	return nil
}

// confirm acks d and waits for the server's answer. There is none while the
// consumer has no leader, nor in the moment in which the event is out of one
// receiver's hands and not yet in another's: the ack is repeated until there is.
func (c *cursor) confirm(ctx context.Context, d *delivery) error {
	select {
	case c.acking <- struct{}{}:
		defer func() { <-c.acking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	done := d.id <= c.acked
	c.mu.Unlock()
	if done {
		return nil
	}
	s := c.streamer
	return s.persist(ctx, "an ack", ackPatience, func(ctx context.Context) error {
		_, err := s.conn.RequestWithContext(ctx, d.msg.Reply, []byte("+ACK"))
		if errors.Is(err, nats.ErrNoResponders) {
			if _, gone := c.consumer.Info(ctx); notFound(gone) {
				return fmt.Errorf("the cursor is gone from the server: %w", gone)
			}
		}
		return err
	})
}
