// Package sqlite is memstreamer's contract on a SQLite database: an
// [memstreamer.EventStreamer] whose events and cursors survive the process, for
// the engines of one process, in the database that they have open already.
//
// A [Streamer] is a memstreamer.StreamConstructor with a journal:
//
//   - [New] loads the events and cursors that are kept into memory.
//   - A Send commits its event; then memory has it, and Recv can see it.
//   - A Recv reads memory, and parks there.
//   - An Ack commits the cursor; then it moves in memory. [WithAckDelay] has it move in
//     memory first.
//   - Memory drops what is too old; a later transaction deletes its rows.
//   - [Streamer.InTx] commits events and acks together with rows of the caller's own.
//
// Calls that write at the same time share a transaction. An event on its way:
//
//	Send          an Event, and its headers as JSON, on the sender's goroutine
//	INSERT        a row, with its ID, in one statement for all that are sent together
//	COMMIT        from here on a crash keeps it
//	Journal       packed bytes in the log of its topic, in memory, from the same Event
//	Recv          an Event of the receiver's own, unpacked
//
// The contract is that of the three interfaces in package memstreamer, with
// these additions:
//
//   - IDs are 1, 2, 3 … from a new database on. They rise across restarts, and
//     none is given twice.
//   - NewReceiver writes the cursor of a new consumer, and so waits for the
//     database, within its context. For a consumer that exists it does not, nor for
//     a receiver that is [memstreamer.Ephemeral], of which nothing is ever written.
//   - Send waits for a connection, and for other writers, within its context.
//     An Ack, which has none, waits for [WithAckTimeout]. Once a transaction has
//     begun, its outcome is awaited.
//   - An error means that nothing was written, with one exception: after a COMMIT
//     that failed its outcome is looked up, and where that fails too, the error
//     says that the outcome is unknown. The next call looks it up first.
//   - An Ack after Close still succeeds, unless another streamer has the database
//     by then, or the database was closed. If another streamer has forgotten the
//     consumer meanwhile, the Ack changes nothing.
//
// No driver is imported: any for database/sql will do.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
)

// ErrInUse is returned, wrapped, by [New] while another streamer of the same
// prefix, in this process or another, has the database.
var ErrInUse = errors.New("the database is in use by another streamer")

var errClosed = fmt.Errorf("%w: the streamer", memstreamer.ErrClosed)

// Streamer is an [memstreamer.EventStreamer] on a SQLite database. Make one with
// [New]: the methods of a zero Streamer panic. Its methods, and those of its senders
// and receivers, are safe for concurrent use.
type Streamer struct {
	db      *sql.DB
	opts    options
	queries queries
	memory  *memstreamer.StreamConstructor
	journal memstreamer.Journal // of memory

	// closing ends when the streamer is closed.
	closing context.Context
	close   context.CancelFunc

	// turn holds a token while a call commits. Its holder is the leader, and has
	// what is in it.
	turn   chan struct{}
	leader leader

	running atomic.Pointer[Tx] // whose function runs

	mu      sync.Mutex // never held during a call of the database, of memory or of user code
	queue   []*op      // what is to be written
	pending pendingAcks
}

// New returns a streamer on db with the events and cursors that a streamer before
// it has left there. It makes its tables where there are none, and brings those of an
// earlier version of this package up to date. It fails with [ErrInUse] while another
// streamer has the database, with an error that names both versions for tables that a
// newer version of this package has made, with the driver's error for a database that
// is read-only, with ctx's error when ctx is done, and with an error that says which
// when db is nil or an option is nil or invalid. A database in memory has to have a
// pool of one connection, since each would have a database of its own.
//
// Events that are kept are in memory too. db stays the caller's, to be closed
// after the streamer.
func New(ctx context.Context, db *sql.DB, opts ...Option) (*Streamer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if db == nil {
		return nil, errors.New("memstreamer/sqlite: New: db is nil")
	}
	o, err := resolve(opts)
	if err != nil {
		return nil, fmt.Errorf("memstreamer/sqlite: New: %w", err)
	}
	s := &Streamer{
		db:      db,
		opts:    o,
		queries: newQueries(o.prefix),
		memory:  memstreamer.New(memstreamer.WithClock(o.clock), memstreamer.WithRetention(o.retention)),
		turn:    make(chan struct{}, 1),
	}
	s.journal = s.memory.Journal()
	s.pending.byLife = make(map[int64]*op)
	s.pending.timer = time.AfterFunc(time.Hour, s.flushAcks)
	s.pending.timer.Stop()
	s.closing, s.close = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		s.close()
		return nil, fmt.Errorf("memstreamer/sqlite: New: %w", err)
	}
	return s, nil
}

func (s *Streamer) open(ctx context.Context) error {
	return s.withConn(ctx, func(conn *sql.Conn) error {
		return guard(conn, func() error { return s.openOn(ctx, conn) })
	})
}

func (s *Streamer) openOn(ctx context.Context, conn *sql.Conn) (err error) {
	if s.leader.file, err = newFileLock(ctx, conn, s.opts.prefix, s.db.Stats().MaxOpenConnections); err != nil {
		return err
	}
	if err := s.leader.file.acquire(); err != nil {
		return err
	}
	if err = s.createTables(ctx, conn); err == nil {
		err = s.load(ctx, conn)
	}
	if err != nil {
		return errors.Join(err, s.leader.file.release())
	}
	return nil
}

func (s *Streamer) mustBeMade() {
	if s == nil || s.memory == nil {
		panic("memstreamer/sqlite: a nil or zero Streamer is not usable: make one with New")
	}
}

// NewSender implements [memstreamer.EventStreamer].
func (s *Streamer) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	s.mustBeMade()
	inner, err := s.memory.NewSender(ctx, topic)
	if err != nil {
		return nil, err
	}
	return &sender{streamer: s, topic: topic, inner: inner}, nil
}

// NewReceiver implements [memstreamer.EventStreamer].
func (s *Streamer) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	s.mustBeMade()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o, err := memstreamer.ResolveReceiverOptions(opts...)
	switch {
	case topic == "":
		err = errors.New("topic is empty")
	case name == "":
		err = errors.New("name is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("memstreamer/sqlite: NewReceiver: %w", err)
	}
	if o.Ephemeral {
		return s.memory.NewReceiver(ctx, topic, name, opts...)
	}
	for {
		inner, life, err := s.journal.Resume(topic, name, o)
		if inner == nil && err == nil {
			made := &op{kind: opReceiver, topic: topic, name: name, options: o}
			err = s.commitUntilClosed(ctx, made)
			inner, life = made.receiver, made.consumer.Life
		}
		if err != nil {
			return nil, err
		}
		// Without either, another call has made the consumer meanwhile: resume it.
		if inner != nil {
			return &receiver{EventReceiver: inner, streamer: s, topic: topic, name: name, life: life}, nil
		}
	}
}

// Forget forgets a consumer, and with [WithRetention] the events that only it has
// kept, as [memstreamer.StreamConstructor.Forget] does. It returns nil once that is
// committed. Where the database fails or ctx ends first, the consumer is forgotten
// all the same, and a later call that writes deletes its row; only if there is none
// before a restart, the consumer is back.
func (s *Streamer) Forget(ctx context.Context, topic, name string) error {
	s.mustBeMade()
	if err := s.memory.Forget(ctx, topic, name); err != nil {
		return err
	}
	return s.commitUntilClosed(ctx, &op{kind: opForget, topic: topic, name: name})
}

// DB returns the database that [New] was given.
func (s *Streamer) DB() *sql.DB {
	s.mustBeMade()
	return s.db
}

// Stats returns a snapshot of the topics and receivers, as
// [memstreamer.StreamConstructor.Stats] does. What it counts, rather than keeps,
// starts with the streamer.
func (s *Streamer) Stats() memstreamer.Stats {
	s.mustBeMade()
	return s.memory.Stats()
}

// Close closes the streamer and with it all its senders and receivers: calls of
// Recv that are parked, and calls of Send and NewReceiver that wait for the
// database, fail with [memstreamer.ErrClosed]. It returns once nothing is being
// written, at most an Ack's timeout later, and the next streamer may have the
// database. It may be called again. It fails where the lock's file does, where acks that
// are pending cannot be written (see [WithAckDelay]), and in a function of
// [Streamer.InTx].
func (s *Streamer) Close() error {
	s.mustBeMade()
	if s.nested() {
		return errNested
	}
	s.close()
	err := errors.Join(s.memory.Close(), s.closeAcks())
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return errors.Join(err, s.leader.file.release())
}
