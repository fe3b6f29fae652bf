package jetstream

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What comes too late for the last call that waited is given back, and what a
// Recv has returned is not.
func TestUnwanted(t *testing.T) {
	event := &delivery{id: 2}
	c := cursor{held: event, waiting: 1}
	assert.Nil(t, c.unwantedLocked(), "somebody waits")

	c.waiting = 0
	assert.Same(t, event, c.unwantedLocked())
	assert.Nil(t, c.held)

	event.returned = true
	c.held = event
	assert.Nil(t, c.unwantedLocked())
	assert.Same(t, event, c.held)
}

// A cursor is forgotten with its last receiver, unless a pull request of it may
// still bring an event.
func TestDropUnused(t *testing.T) {
	s := &Streamer{cursors: make(map[string]*cursor)}
	c := s.retainCursor("name", &cursor{streamer: s, name: "name"})
	assert.Same(t, c, s.retainCursor("name", nil))
	s.releaseCursor(c)
	assert.Same(t, c, s.cursor("name"))
	c.pull.out = true
	s.releaseCursor(c)
	assert.Same(t, c, s.cursor("name"))
	c.pull.out = false
	s.dropUnused(c)
	assert.Nil(t, s.cursor("name"))
}

// madeAnew is a consumer that was made anew.
type madeAnew struct{ natsjs.Consumer }

func (madeAnew) Info(context.Context) (*natsjs.ConsumerInfo, error) {
	return &natsjs.ConsumerInfo{Created: time.Unix(2, 0)}, nil
}

// passing is a consumer of which something happens while it is asked where it is.
type passing struct {
	natsjs.Consumer
	meanwhile func()
}

func (p passing) Info(context.Context) (*natsjs.ConsumerInfo, error) {
	p.meanwhile()
	return &natsjs.ConsumerInfo{}, nil
}

func (passing) CachedInfo() *natsjs.ConsumerInfo { return &natsjs.ConsumerInfo{} }

// What an acked event brings up while check asks, check does not put away: the server
// has that event out, and delivers no other.
func TestDoubtDuringCheck(t *testing.T) {
	c := pullingCursor()
	c.waiting, c.acks.upTo, c.doubts.unsure = 1, 1, true
	c.consumer = passing{meanwhile: func() { c.deliver(c.pull.inbox, &delivery{id: 1}) }}
	require.NoError(t, c.check(t.Context()))
	assert.True(t, c.doubts.unsure)
	c.consumer = passing{meanwhile: func() {}}
	require.NoError(t, c.check(t.Context()))
	assert.False(t, c.doubts.unsure)
}

// No ack is sent once an advisory, or another connection, says that the consumer
// may be another: it would take the ack for one of its own event. Sending it would
// panic here, without a connection.
func TestNoAckToAnotherConsumer(t *testing.T) {
	for what, happens := range map[string]func(*Streamer, *cursor){
		"stream deleted": func(s *Streamer, _ *cursor) { s.advise(&nats.Msg{Subject: "$JS.EVENT.ADVISORY.STREAM.DELETED.S"}) },
		"consumer deleted": func(s *Streamer, _ *cursor) {
			s.advise(&nats.Msg{Subject: "$JS.EVENT.ADVISORY.CONSUMER.DELETED.S.name"})
		},
		"connection lost": func(_ *Streamer, c *cursor) { c.lostPull() },
	} {
		t.Run(what, func(t *testing.T) {
			s := &Streamer{
				cursors: make(map[string]*cursor),
				log:     slog.New(slog.DiscardHandler),
				opts:    options{stream: "S", ackTimeout: time.Minute},
			}
			c := &cursor{
				streamer: s,
				consumer: madeAnew{},
				name:     "name",
				created:  time.Unix(1, 0),
				changed:  make(chan struct{}),
				acks:     acks{turn: make(chan struct{}, 1)},
				pull:     pull{silence: time.NewTimer(time.Hour)},
			}
			s.retainCursor("name", c)
			happens(s, c)
			require.ErrorIs(t, c.ack(&delivery{id: 1}), errCursorGone)
			assert.Nil(t, s.cursor("name"))
		})
	}
}

// A pull request that was given up makes its inbox stale, unless the server has
// said that it is over.
func TestStaleInbox(t *testing.T) {
	for status, stale := range map[string]bool{"": true, "100": true, "408": false, "409": false, "503": false} {
		c := pullingCursor()
		if status != "" {
			c.pullStatus("1", nats.Header{"Status": {status}})
		}
		c.lostPull()
		assert.Equal(t, stale, c.pull.inbox.stale.Load(), "after status %q", status)
	}
	c := pullingCursor()
	c.fail(errCursorGone)
	assert.True(t, c.pull.inbox.stale.Load(), "a cursor opened in place of one that failed pulls anew")
}

// pullingCursor returns a cursor whose first pull request is with the server.
func pullingCursor() *cursor {
	return &cursor{
		streamer: &Streamer{cursors: make(map[string]*cursor), owner: owner{conn: &nats.Conn{}}, log: slog.New(slog.DiscardHandler)},
		changed:  make(chan struct{}),
		pull:     pull{n: 1, inbox: &inbox{}, out: true, silence: time.NewTimer(time.Hour)},
	}
}

// Events before one that is delivered are acked. A server that was killed may have
// forgotten it, and delivers them again.
func TestDeliveryTellsOfAcks(t *testing.T) {
	c := pullingCursor()
	c.waiting = 1
	c.deliver(c.pull.inbox, &delivery{id: 3})
	assert.EqualValues(t, 2, c.position())
	c.pull.out = true
	c.deliver(c.pull.inbox, &delivery{id: 2})
	assert.EqualValues(t, 3, c.held.id)
	assert.True(t, c.doubts.unsure)
}

// What comes to an older inbox does not answer the pull request that is with the
// server.
func TestLateDeliveryEndsNoPull(t *testing.T) {
	c := pullingCursor()
	c.waiting, c.acks.upTo = 1, 1
	c.deliver(&inbox{}, &delivery{id: 1})
	assert.True(t, c.pull.out)
	c.deliver(c.pull.inbox, &delivery{id: 1})
	assert.False(t, c.pull.out)
}

// An event that comes before the record of acks is read is not for a Recv yet.
func TestDeliveryBeforeRecord(t *testing.T) {
	for _, forgot := range []bool{false, true} {
		c := pullingCursor()
		c.waiting, c.pull.call, c.doubts.forgot = 1, 1, forgot
		c.deliver(c.pull.inbox, &delivery{id: 1})
		assert.Equal(t, forgot, c.held.current < c.pull.call)
	}
}

// An event that comes over another connection than the one before may come from a server
// that has forgotten acks, and that some other process has an event of.
func TestDeliveryAfterReconnect(t *testing.T) {
	c := pullingCursor()
	c.consumer = passing{}
	c.waiting, c.pull.call, c.doubts.free, c.doubts.reconnects = 1, 1, true, 7
	c.deliver(c.pull.inbox, &delivery{id: 1})
	assert.Less(t, c.held.current, c.pull.call, "it is not for a Recv yet")
	assert.True(t, c.doubts.unsure)
	assert.False(t, c.doubts.free)
	assert.Zero(t, c.doubts.reconnects, "as many as the connection has seen")

	c.doubts.unsure, c.pull.out = false, true
	c.deliver(c.pull.inbox, &delivery{id: 2})
	assert.Equal(t, c.pull.call, c.held.current)

	// A cursor that is opened later knows of the connections before.
	c.streamer.conn.Reconnects = 9
	assert.EqualValues(t, 9, c.streamer.newCursor("another", c.consumer).doubts.reconnects)
}

// unread is a stream of records that cannot be read.
type unread struct{ natsjs.Stream }

var errUnread = errors.New("the record")

func (unread) GetLastMsgForSubject(context.Context, string) (*natsjs.RawStreamMsg, error) {
	return nil, errUnread
}

// An answer that comes over another connection may come from a server that has forgotten
// the ack of another process, of the event that is held here: its record is read.
func TestCheckAfterReconnect(t *testing.T) {
	c := pullingCursor()
	c.consumer = passing{meanwhile: func() { c.streamer.conn.Reconnects++ }}
	c.held, c.doubts.free = &delivery{id: 1}, true
	require.NoError(t, c.check(t.Context()))
	assert.False(t, c.doubts.free)
	assert.False(t, c.doubts.unsure, "the answer is newer")

	c.acks.records = &ackRecords{stream: unread{}}
	require.ErrorIs(t, c.check(t.Context()), errUnread)
	c.consumer = passing{meanwhile: func() {}}
	c.doubts.unsure = false
	require.NoError(t, c.check(t.Context()), "over the same connection it is not")
}

// A Recv that is under way as its streamer is closed subscribes to nothing more.
func TestNoInboxAfterClose(t *testing.T) {
	s := &Streamer{}
	s.ctx, s.close = context.WithCancel(t.Context())
	s.close()
	_, err := s.inbox()
	require.ErrorIs(t, err, memstreamer.ErrClosed)
}
