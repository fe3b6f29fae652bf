package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// applyDelay is how long a cluster's servers usually take to agree on a
// delivery.
const applyDelay = 10 * time.Millisecond

// errCursorGone ends a cursor whose consumer is no longer the one it was opened
// on.
var errCursorGone = errors.New("the cursor is gone from the server")

// cursor is one (topic, name) in this process, shared by its receivers here. On
// the server it is a durable consumer.
//
// It has at most one pull request for one event with the server, and sends it
// only while a Recv waits: the server would keep an event that nobody here waits
// for from those who do elsewhere. The pull request belongs to the cursor and
// outlives the Recv that sent it, so that a Recv that is given up loses no event.
// The pull requests of nats.go end with their subscription, or ask ahead.
//
// Everything a cursor sends may arrive late or twice. Therefore it acks, gives
// back and pulls, and never resets its consumer: a late reset would undo acks.
type cursor struct {
	streamer *Streamer
	consumer natsjs.Consumer
	name     string    // of the consumer
	created  time.Time // of the consumer: it tells the consumer from a later one of its name

	receivers int // guarded by the streamer's mu

	record atomic.Uint64 // the sequence of the last ack record known

	// acking is held during an ack. The server answers only one of two requests
	// to ack the same event.
	acking chan struct{}

	// Lock order: Streamer.mu, then mu. Methods whose names end in Locked need mu
	// held. Those whose names end in Unlocking need it held too, release it while
	// they wait, and return with it held. Nothing is sent under mu.
	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, when something below changes
	err     error         // what ended the cursor
	calls   uint64        // counts the calls of next
	waiting int           // calls of next under way
	asking  bool          // one of them waits for the server's answer

	pulls   uint64      // counts the pull requests, and names the newest
	inbox   *inbox      // where the newest delivers
	pulling bool        // it is with the server
	over    bool        // it is not: the server said so, and the next is sent in a moment
	pulled  uint64      // the value of calls when it was sent
	silence *time.Timer // runs while pulling, calls lostPull

	held     *delivery // the event at the cursor, if it is here
	acked    int64     // events up to this ID are acked
	written  int64     // events up to this ID are written down as acked
	settling int64     // the event that settle works on, or 0
	again    *delivery // an event that came although it is acked
	unsure   bool      // the server may have delivered an event that did not arrive, or have another consumer
	free     bool      // nobody had an event when the cursor was opened, and no pull request was lost since

	reconnects uint64 // of the connection, when the last event came
}

// openCursor returns the cursor of (topic, name) with one receiver more.
func (s *Streamer) openCursor(ctx context.Context, topic, name string, latest bool) (*cursor, error) {
	key := consumerOf(topic, name)
	if c := s.retainCursor(key, nil); c != nil {
		return c, nil
	}
	consumer, isNew, err := s.ensureConsumer(ctx, topic, name, latest)
	if err != nil {
		return nil, err
	}
	c := &cursor{
		streamer: s,
		consumer: consumer,
		name:     key,
		created:  consumer.CachedInfo().Created,
		acking:   make(chan struct{}, 1),
		changed:  make(chan struct{}),
		// Another process may have left with an event.
		unsure:     !isNew,
		free:       s.nobodyHasEvent(consumer.CachedInfo()),
		reconnects: s.conn.Stats().Reconnects,
	}
	c.silence = time.AfterFunc(2*pullHeartbeat, c.lostPull)
	c.silence.Stop()
	return s.retainCursor(key, c), nil
}

// retainCursor counts one more receiver of the open cursor of that name and
// returns it. If there is none, it adds opened, which may be nil.
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

// releaseCursor counts one receiver less. The last one gives the event back.
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

// dropUnused forgets c if it has no receiver and no pull request that may still
// bring an event.
func (s *Streamer) dropUnused(c *cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.receivers == 0 && !c.pulling && s.cursors[c.name] == c {
		delete(s.cursors, c.name)
	}
}

// next waits for the event at the cursor and returns it.
func (c *cursor) next(ctx context.Context) (*delivery, error) {
	c.mu.Lock()
	c.waiting++
	d, err := c.nextUnlocking(ctx)
	c.waiting--
	late := c.unwantedLocked()
	c.mu.Unlock()
	c.streamer.giveBack(late...)
	return d, err
}

func (c *cursor) nextUnlocking(ctx context.Context) (*delivery, error) {
	c.calls++
	call := c.calls
	for ctx.Err() == nil {
		switch {
		case c.err != nil:
			return nil, c.err
		case c.held != nil && c.held.current >= call:
			c.held.returned = true
			return c.held, nil
		case c.asking:
			c.waitUnlocking(ctx)
		case c.held != nil || c.unsure:
			// It may have been acked elsewhere before this call began.
			if err := c.askUnlocking(ctx, c.check); err != nil {
				return nil, err
			}
		case !c.pulling:
			if err := c.askUnlocking(ctx, c.pull); err != nil {
				return nil, err
			}
		default:
			c.waitUnlocking(ctx)
		}
	}
	return nil, ctx.Err()
}

// unwantedLocked takes from the cursor what came too late for the last call that
// waited for it, to be given back for those who wait elsewhere.
func (c *cursor) unwantedLocked() (late []*delivery) {
	if c.waiting > 0 {
		return nil
	}
	if c.held != nil && !c.held.returned {
		late = append(late, c.held)
		c.held = nil
	}
	if c.again != nil && c.settling == 0 {
		late = append(late, c.again)
		c.again = nil
	}
	return late
}

// waitUnlocking waits until something changes or ctx is done.
func (c *cursor) waitUnlocking(ctx context.Context) {
	changed := c.changed
	c.mu.Unlock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
	c.mu.Lock()
}

// askUnlocking calls f, which asks the server, for one call of next at a time.
func (c *cursor) askUnlocking(ctx context.Context, f func(context.Context) error) error {
	c.asking = true
	c.mu.Unlock()
	err := f(ctx)
	c.mu.Lock()
	c.asking = false
	c.changedLocked()
	return err
}

// changedLocked wakes all who wait for a change.
func (c *cursor) changedLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// check asks the server where its consumer is. From that it tells whether the
// held event is still to be had, acks again what came again, and takes over an
// event that somebody else has.
func (c *cursor) check(ctx context.Context) error {
	c.mu.Lock()
	call, held, again := c.calls, c.held, c.again
	// A server that was killed may have forgotten acks.
	read := c.streamer.acks != nil && c.unsure && again == nil
	c.mu.Unlock()

	var info *natsjs.ConsumerInfo
	var record int64
	err := c.streamer.persist(ctx, "a cursor", patience, func(ctx context.Context) (err error) {
		info, err = c.where(ctx)
		if err == nil && read {
			record, err = c.streamer.acks.read(ctx, c)
		}
		return err
	})
	if err != nil {
		return err
	}

	out := info.NumAckPending > 0 // an event is delivered, and not acked
	c.mu.Lock()
	c.written = max(c.written, record)
	c.ackedLocked(max(int64(info.AckFloor.Stream), record))
	if again != nil && c.again == again {
		// Its ack was confirmed, and the server was killed before it wrote it down.
		c.again, c.unsure = nil, false
		c.mu.Unlock()
		return c.streamer.tell(again.msg.Reply, ackBody)
	}
	if c.held != nil && c.held == held {
		if out && int64(info.Delivered.Stream) == held.id {
			held.current = call
		} else {
			c.held = nil
		}
	}
	// What was delivered since the cursor was opened went to somebody who waited.
	elsewhere := out && c.held == nil && c.unsure && !c.free
	// A cluster counts a delivery at once, and says which it was when its servers
	// have agreed on it.
	unnamed := info.Delivered.Consumer == info.AckFloor.Consumer
	c.unsure = elsewhere && unnamed
	c.mu.Unlock()

	switch {
	case !elsewhere:
		return nil
	case unnamed:
		pause(ctx, applyDelay)
		return ctx.Err()
	}
	// Give it back on behalf of whoever has it. Without that the server would
	// deliver it again after AckWait. Their ack stays good, and where it came
	// first the server ignores this.
	return c.streamer.tell(c.ackSubject(info.Delivered), nakBody)
}

// where asks the leader of the consumer where it is. A consumer that is gone, or
// was made anew, ends the cursor.
func (c *cursor) where(ctx context.Context) (*natsjs.ConsumerInfo, error) {
	info, err := c.consumer.Info(ctx)
	switch {
	case notFound(err):
		err = fmt.Errorf("%w: %w", errCursorGone, err)
	case err != nil:
		return nil, err
	case !c.streamer.fromLeader(info):
		return nil, errNoLeader
	case !info.Created.Equal(c.created):
		err = fmt.Errorf("%w, and another was made in its place", errCursorGone)
	default:
		return info, nil
	}
	c.fail(err)
	return nil, err
}

// fromLeader reports whether info comes from the leader of the consumer. Another
// server of a cluster may know only that the consumer exists.
func (s *Streamer) fromLeader(info *natsjs.ConsumerInfo) bool {
	return !s.clustered || info.Cluster != nil && info.Cluster.Leader != ""
}

// nobodyHasEvent reports whether info says that no event is delivered and not
// acked.
func (s *Streamer) nobodyHasEvent(info *natsjs.ConsumerInfo) bool {
	return s.fromLeader(info) && info.NumAckPending == 0
}

// ackSubject returns the subject on which the server takes an ack of the event
// that it delivered last.
func (c *cursor) ackSubject(delivered natsjs.SequenceInfo) string {
	return fmt.Sprintf("$JS.ACK.%s.%s.1.%d.%d.0.0", c.streamer.opts.stream, c.name, delivered.Stream, delivered.Consumer)
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
	if c.err == nil {
		c.err = err
	}
	c.giveUpPullLocked()
}

// ackedLocked notes that events up to id are acked.
func (c *cursor) ackedLocked(id int64) {
	c.acked = max(c.acked, id)
	if c.held != nil && c.held.id <= c.acked {
		c.held = nil
	}
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
