package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// applyDelay is how long a cluster's servers usually take to agree on a
// delivery.
const applyDelay = 10 * time.Millisecond

// errCursorGone ends a cursor whose consumer was deleted or made anew.
var errCursorGone = errors.New("the cursor is gone from the server")

// cursor is a consumer in this process: one (topic, name), shared by its receivers here,
// or one ephemeral receiver. On the server it is a consumer, durable or ephemeral.
//
// It has at most one pull request for one event with the server, and sends it only
// while a Recv waits, or an Ack without an answer: the server would otherwise keep an
// event from processes that wait for it. The pull request belongs to the cursor and
// outlives the Recv that sent it, so that a Recv that is given up loses no event. The
// pull requests of nats.go end with their subscription, or ask ahead.
//
// Everything a cursor sends may arrive late or twice. Therefore it acks, gives back and
// pulls, and never resets its consumer: a late reset would undo acks.
type cursor struct {
	streamer  *Streamer
	consumer  natsjs.Consumer
	name      string    // of the consumer
	created   time.Time // of the consumer: it tells the consumer from a later one of its name
	shard     shard     // of the consumer
	ephemeral bool      // it is of one receiver alone
	term      term      // of the leader of the consumer

	receivers int // guarded by the streamer's mu

	// Lock order: Streamer.mu, then mu, which guards what follows. Methods whose names
	// end in Locked need it held. Those whose names end in Unlocking need it held too,
	// release it while they wait, and return with it held. Nothing is sent under mu.
	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, when something below changes
	err     error         // what ended the cursor
	calls   uint64        // counts the calls of next
	waiting int           // calls of next under way
	asking  bool          // one of them waits for the server's answer
	held    *delivery     // the event at the cursor, if it is here
	pull    pull
	acks    acks
	doubts  doubts
}

// doubts are what check has to ask the server before the cursor goes on.
type doubts struct {
	unsure bool   // the server may have delivered an event that did not arrive, or have another consumer
	forgot bool   // the server may have forgotten acks that are recorded
	n      uint64 // counts what set these

	free       bool   // nobody had an event when the cursor was opened, and no pull request was lost since
	reconnects uint64 // of the connection, when it last brought an event or an answer
}

// raise has check called. If it is under way, it is called again: what it was told may
// be older than the doubt.
func (d *doubts) raise(doubt *bool) {
	*doubt = true
	d.n++
}

// reconnected raises a doubt, and reports it, if the connection has been made anew so
// often since the last event: the server may be another, and have forgotten acks.
// watchConnection may not have been told yet.
func (d *doubts) reconnected(reconnects uint64) bool {
	if reconnects == d.reconnects {
		return false
	}
	d.reconnects, d.free = reconnects, false
	d.raise(&d.unsure)
	return true
}

// openCursor returns a cursor of (topic, name) with one receiver more.
func (s *Streamer) openCursor(ctx context.Context, topic, name string, o memstreamer.ReceiverOptions) (*cursor, error) {
	if o.Ephemeral {
		return s.openEphemeral(ctx, topic, name, shardOf(o), func(ctx context.Context, config *natsjs.ConsumerConfig) error {
			return s.startAt(ctx, config, o)
		})
	}
	want := s.durableConfig(topic, name)
	shardOf(o).mark(&want)
	if c := s.retainCursor(want.Durable, nil); c != nil {
		err := c.shard.check(shardOf(o))
		if err != nil {
			s.releaseCursor(c)
			return nil, err
		}
		return c, nil
	}
	consumer, isNew, err := s.ensureConsumer(ctx, want, o)
	if err != nil {
		return nil, err
	}
	c := s.newCursor(want.Durable, consumer)
	c.acks.records = s.acks
	c.doubts.unsure = !isNew // another process may have left with an event
	return s.retainCursor(c.name, c), nil
}

func (s *Streamer) newCursor(name string, consumer natsjs.Consumer) *cursor {
	info := consumer.CachedInfo()
	c := &cursor{
		streamer: s,
		consumer: consumer,
		name:     name,
		created:  info.Created,
		shard:    shardIn(info.Config),
		changed:  make(chan struct{}),
		acks:     acks{turn: make(chan struct{}, 1)},
		doubts:   doubts{free: s.nobodyHasEvent(info), reconnects: s.conn.Stats().Reconnects},
	}
	c.pull.silence = time.AfterFunc(2*pullHeartbeat, c.lostPull)
	c.pull.silence.Stop()
	return c
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

// releaseCursor counts one receiver less. The last one leaves the cursor.
func (s *Streamer) releaseCursor(c *cursor) {
	s.mu.Lock()
	c.receivers--
	last := c.receivers == 0
	s.mu.Unlock()
	if last {
		c.leave()
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
	if c.receivers == 0 && !c.pull.out && s.cursors[c.name] == c {
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
	c.streamer.giveBack(late)
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
		case c.held != nil || c.doubts.unsure || c.doubts.forgot:
			// It may have been acked elsewhere before this call began.
			if err := c.askUnlocking(ctx, c.check); err != nil {
				return nil, err
			}
		case !c.pull.out:
			if err := c.askUnlocking(ctx, c.sendPull); err != nil {
				return nil, err
			}
		default:
			c.waitUnlocking(ctx)
		}
	}
	return nil, ctx.Err()
}

// unwantedLocked returns the held event if it came too late for the last call that waited
// for it, and lets go of it. The caller gives it back to the server.
func (c *cursor) unwantedLocked() (late *delivery) {
	if c.waiting > 0 {
		return nil
	}
	if c.held != nil && !c.held.returned {
		late = c.held
		c.held = nil
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
	call, held, unsure, doubts := c.calls, c.held, c.doubts.unsure, c.doubts.n
	// A server that was killed may have forgotten acks.
	read := c.acks.records != nil && (unsure || c.doubts.forgot)
	c.mu.Unlock()

	var info *natsjs.ConsumerInfo
	var record int64
	err := c.persist(ctx, "a cursor", patience, func(ctx context.Context) (err error) {
		if info, err = c.where(ctx); err != nil {
			return err
		}
		reconnects := c.streamer.conn.Stats().Reconnects
		c.mu.Lock()
		if c.doubts.reconnected(reconnects) {
			unsure, read = true, c.acks.records != nil
			doubts++ // this answer is newer
		}
		c.mu.Unlock()
		if read {
			record, err = c.acks.records.read(ctx, c)
		}
		return err
	})
	if err != nil {
		return err
	}
	out := info.NumAckPending > 0 // an event is delivered, and not acked
	if out && info.Delivered.Consumer == info.AckFloor.Consumer {
		// A cluster counts a delivery at once, and says which it was when its servers
		// have agreed on it.
		pause(ctx, applyDelay)
		return ctx.Err()
	}

	delivered := int64(info.Delivered.Stream)
	c.mu.Lock()
	c.acks.recorded = max(c.acks.recorded, record)
	c.ackedLocked(max(int64(info.AckFloor.Stream), record))
	if c.held != nil && c.held == held {
		if out && delivered == held.id {
			held.current = call
		} else {
			c.held = nil
		}
	}
	acked := delivered <= c.acks.upTo
	// What was delivered since the cursor was opened went to somebody who waited.
	elsewhere := c.held == nil && unsure && !c.doubts.free
	if c.doubts.n == doubts {
		c.doubts.unsure, c.doubts.forgot = false, false
	}
	c.mu.Unlock()

	switch {
	case out && acked:
		// The server has not got this ack, or has forgotten it: it was killed before it
		// wrote it down.
		return c.streamer.tell(c.ackSubject(info.Delivered), ackBody)
	case out && elsewhere:
		// Give it back on behalf of whoever has it. Without that the server would
		// deliver it again after AckWait. Their ack stays good, and where it came
		// first the server ignores this.
		return c.streamer.tell(c.ackSubject(info.Delivered), nakBody)
	}
	return nil
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
	return !s.clustered || leaderOf(info.Cluster) != ""
}

// nobodyHasEvent reports whether info says that no event is delivered and not
// acked.
func (s *Streamer) nobodyHasEvent(info *natsjs.ConsumerInfo) bool {
	return s.fromLeader(info) && info.NumAckPending == 0
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

// leave tells the server that no receiver of this process needs the cursor any more.
// The held event goes to those who wait elsewhere; an ephemeral consumer is deleted.
func (c *cursor) leave() {
	c.mu.Lock()
	d := c.held
	c.held = nil
	c.mu.Unlock()
	if c.ephemeral {
		c.streamer.deleteEphemeral(c)
	} else {
		c.streamer.giveBack(d)
	}
}
