// Package sqlite is memstreamer's contract on a SQLite database: an
// [memstreamer.EventStreamer] whose events and cursors survive the process, for
// the engines of one process, in the database that they have open already.
//
// A [Streamer] is a memstreamer.StreamConstructor with a journal. Receivers read
// memory, and park there. A Send returns, and its event can be seen, once the
// event is committed; an Ack moves the cursor once that is committed; [New] reads
// what is kept. Calls that write at the same time share a transaction.
//
// The contract is that of the three interfaces in package memstreamer, with
// these additions:
//
//   - IDs are 1, 2, 3 … from a new database on. They rise across restarts, and
//     none is given twice.
//   - NewReceiver writes the cursor of a name that is new, and so waits for the
//     database, within its context. For a name that has one it does not.
//   - Send waits for a connection, and for other writers, within its context.
//     An Ack, which has none, waits for [WithAckTimeout]. Once a transaction has
//     begun, its outcome is awaited.
//   - An error means that nothing was written, with one exception: after a COMMIT
//     that failed its outcome is looked up, and where that fails too, the error
//     says that the outcome is unknown. The next call looks it up first.
//   - An Ack after Close still succeeds, unless another streamer has the database
//     by then, or the database was closed.
//
// No driver is imported: any for database/sql will do.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/journal"
)

// ErrInUse is returned, wrapped, by [New] while another streamer of the same
// prefix, in this process or another, has the database.
var ErrInUse = errors.New("the database is in use by another streamer")

// Streamer is an [memstreamer.EventStreamer] on a SQLite database. Its methods,
// and those of its senders and receivers, are safe for concurrent use.
type Streamer struct {
	db      *sql.DB
	opts    options
	queries queries
	clock   *pausable
	memory  *memstreamer.StreamConstructor // whose clock is clock
	log     journal.Log                    // of memory

	// closing ends when the streamer is closed.
	closing context.Context
	close   context.CancelFunc

	// turn holds a token while a call commits. Its holder is the leader, and has
	// what is in it.
	turn   chan struct{}
	leader leader

	// mu is never held during a call of the database. It comes before the locks
	// of memory.
	mu    sync.Mutex
	queue []*op                   // what is to be written, the oldest first
	names map[name]journal.Cursor // whose position is written
}

// name identifies a cursor.
type name struct{ topic, name string }

// New returns a streamer on db with the events and cursors that a streamer before
// it has left there. It makes its tables where there are none. It fails with
// [ErrInUse] while another streamer has the database, with an error that names
// both versions for tables that a newer version of this package has made, with
// ctx's error when ctx is done, and with an error that says which when db is nil
// or an option is nil or invalid. A database in memory has to have a pool of one
// connection, since each would have a database of its own.
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
		clock:   &pausable{Clock: o.clock},
		turn:    make(chan struct{}, 1),
		names:   make(map[name]journal.Cursor),
	}
	s.memory = memstreamer.New(memstreamer.WithClock(s.clock), memstreamer.WithRetention(o.retention))
	s.log = journal.Of(s.memory)
	s.closing, s.close = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		s.close()
		return nil, fmt.Errorf("memstreamer/sqlite: New: %w", err)
	}
	return s, nil
}

func (s *Streamer) open(ctx context.Context) error {
	return s.withConn(ctx, func(conn *sql.Conn) (err error) {
		if s.leader.file, err = newFileLock(ctx, conn, s.opts.prefix, s.db.Stats().MaxOpenConnections); err != nil {
			return err
		}
		if err := s.leader.file.lock(); err != nil {
			return err
		}
		if err = s.createTables(ctx, conn); err == nil {
			err = s.load(ctx, conn)
		}
		if err != nil {
			return errors.Join(err, s.leader.file.unlock())
		}
		return nil
	})
}

// NewSender implements [memstreamer.EventStreamer].
func (s *Streamer) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	inner, err := s.memory.NewSender(ctx, topic)
	if err != nil {
		return nil, err
	}
	return &sender{streamer: s, topic: topic, inner: inner}, nil
}

// NewReceiver implements [memstreamer.EventStreamer].
func (s *Streamer) NewReceiver(ctx context.Context, topic, receiverName string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	inner, err := s.memory.NewReceiver(ctx, topic, receiverName, opts...)
	if err != nil {
		return nil, err
	}
	n := name{topic, receiverName}
	cursor := s.log.Cursor(topic, receiverName)
	if !s.written(n, cursor) {
		// Clone: they may be substrings that would pin larger strings.
		n = name{strings.Clone(topic), strings.Clone(receiverName)}
		if err := s.commitUntilClosed(ctx, &op{kind: opName, name: n}); err != nil {
			_ = inner.Close()
			s.abandon(n, cursor)
			return nil, err
		}
	}
	return &receiver{streamer: s, name: n, cursor: cursor, EventReceiver: inner}, nil
}

// written reports whether the position of cursor is in the database.
func (s *Streamer) written(n name, cursor journal.Cursor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[n] == cursor
}

// abandon forgets a cursor that was made in memory and could not be written,
// unless another receiver of its name has it open.
func (s *Streamer) abandon(n name, cursor journal.Cursor) {
	now := s.clock.Now()
	// With mu held, whoever else waits for its position to be written has it open.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names[n] != cursor {
		s.clock.paused.Store(&now)
		defer s.clock.paused.Store(nil)
		_ = s.memory.Forget(context.Background(), n.topic, n.name)
	}
}

// Forget forgets a name of a topic, and with [WithRetention] the events that only
// it has kept. It fails, and changes nothing, while a receiver of that name is
// open. A name that is not known is no error. Where the database fails, the name
// is forgotten until a restart: call Forget again.
func (s *Streamer) Forget(ctx context.Context, topic, receiverName string) error {
	if err := s.memory.Forget(ctx, topic, receiverName); err != nil {
		return err
	}
	return s.commitUntilClosed(ctx, &op{kind: opName, name: name{topic, receiverName}})
}

// Stats returns a snapshot of the topics and receivers, as
// [memstreamer.StreamConstructor.Stats] does. What it counts, rather than keeps,
// starts with the streamer.
func (s *Streamer) Stats() memstreamer.Stats { return s.memory.Stats() }

// Close closes the streamer and with it all its senders and receivers: calls of
// Recv that are parked, and calls of Send and NewReceiver that wait for the
// database, fail with [memstreamer.ErrClosed]. It returns once nothing is being
// written, at most an Ack's timeout later, and the next streamer may have the
// database. It may be called again, and fails only where the lock's file does.
func (s *Streamer) Close() error {
	s.close()
	err := s.memory.Close()
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return errors.Join(err, s.leader.file.unlock())
}
