package sqlite

import (
	"context"

	"github.com/memstreamer/memstreamer"
)

// op is what one call wants to have written.
type op struct {
	kind  kind
	topic string
	name  string // of all but a Send

	event   memstreamer.Event // of a Send; it gets its ID as it is written
	headers any               // of event, as the database keeps them

	life, id int64 // acked
	moves    bool  // the position of its consumer

	options  memstreamer.ReceiverOptions
	consumer memstreamer.Consumer      // that was written, and is to be opened
	receiver memstreamer.EventReceiver // of consumer, once it is committed

	f     func(*Tx) error // of an InTx
	begun chan *Tx        // has the goroutine of the InTx call f, when another one leads
	tx    *Tx             // of f, once that is to be called

	alone bool          // it failed beside others, and gets a transaction of its own
	done  chan struct{} // closed when err is the outcome
	err   error
}

type kind int

const (
	opSend kind = iota
	opAck
	opReceiver // makes a consumer
	opForget
	opInTx
	opFlush // writes the acks that are pending
)

func (o *op) told() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

func (o *op) tell(err error) {
	o.err = err
	close(o.done)
}

// called reports whether o is of an InTx whose function has begun.
func (o *op) called() bool { return o.tx != nil && o.tx.called }

// execute writes what ops want to have written, on what memory has now, which is
// what was committed before.
func (s *Streamer) execute(tx *transaction, ops []*op) error {
	for _, o := range ops {
		if err := s.executeOne(tx, o); err != nil {
			return err
		}
	}
	err := tx.execRows(s.queries.insert, len(tx.rows)/len(row{}), tx.rows)
	tx.rows = nil
	return err
}

func (s *Streamer) executeOne(tx *transaction, o *op) error {
	switch o.kind {
	case opInTx:
		return s.runTx(tx, o)
	case opFlush:
		return s.writeAcks(tx)
	case opSend:
		e := &o.event
		e.ID = tx.nextID
		tx.nextID++
		tx.rows = append(tx.rows, e.ID, text(o.topic), text(e.ForeignID), e.Type, o.headers, e.CreatedAt.UnixNano())
	case opAck:
		if err := s.moveCursor(tx, o); err != nil {
			return err
		}
	case opReceiver:
		if err := s.makeCursor(tx, o); err != nil {
			return err
		}
	case opForget:
		if err := s.forgetCursor(tx, o); err != nil {
			return err
		}
	}
	tx.written = append(tx.written, o)
	return nil
}

func (s *Streamer) moveCursor(tx *transaction, o *op) error {
	if o.moves = !s.acked(o); !o.moves {
		return nil
	}
	return s.writeAck(tx, o)
}

// writeAck moves the position of a consumer, unless it is there already: such an ack may
// be written again, and tells nothing of tx.
func (s *Streamer) writeAck(tx *transaction, o *op) error {
	result, err := tx.exec(s.queries.ack, o.life, o.id)
	if err != nil {
		return err
	}
	moved, err := result.RowsAffected()
	if moved > 0 {
		tx.positions[o.life] = o.id
	}
	return err
}

// acked reports whether an ack has nothing to write: its event is acked, or the life of
// its consumer is over.
func (s *Streamer) acked(o *op) bool {
	c, _ := s.journal.Consumer(o.topic, o.name, memstreamer.ReceiverOptions{})
	return c.Life != o.life || c.After >= o.id
}

// makeCursor writes a consumer that is new.
func (s *Streamer) makeCursor(tx *transaction, o *op) error {
	c, ok := s.consumer(tx, o)
	if !ok {
		if err := s.deleteForgotten(tx, o); err != nil {
			return err
		}
		result, err := tx.exec(s.queries.make, text(o.topic), text(o.name), c.After, c.ShardIndex, c.ShardCount)
		if err != nil {
			return err
		}
		if c.Life, err = result.LastInsertId(); err != nil {
			return err
		}
		tx.made[consumer{o.topic, o.name}] = c
		tx.positions[c.Life] = c.After
	}
	// None if it was made before tx. One of another shard is to be resumed, too, and refused.
	if c := tx.made[consumer{o.topic, o.name}]; c.ShardIndex == o.options.ShardIndex && c.ShardCount == o.options.ShardCount {
		o.consumer = c
	}
	return nil
}

// consumer returns the consumer of o, if tx has made it or memory has it, and
// otherwise where it is to start.
func (s *Streamer) consumer(tx *transaction, o *op) (memstreamer.Consumer, bool) {
	if c, ok := tx.made[consumer{o.topic, o.name}]; ok {
		return c, true
	}
	return s.journal.Consumer(o.topic, o.name, o.options)
}

// forgetCursor deletes the cursor of a consumer that memory has forgotten, unless that
// was made again meanwhile.
func (s *Streamer) forgetCursor(tx *transaction, o *op) error {
	if _, ok := s.consumer(tx, o); ok {
		return nil
	}
	return s.deleteForgotten(tx, o)
}

// deleteForgotten deletes the row that a consumer still has which memory has
// forgotten, if it has one.
func (s *Streamer) deleteForgotten(tx *transaction, o *op) error {
	var life int64
	err := tx.conn.QueryRowContext(context.Background(), s.queries.life, text(o.topic), text(o.name)).Scan(&life)
	if err != nil || life == 0 {
		return err
	}
	return s.deleteCursor(tx, life)
}

func (s *Streamer) deleteCursor(tx *transaction, life int64) error {
	tx.positions[life] = -1
	_, err := tx.exec(s.queries.deleteCursor, life)
	return err
}

// deleteDropped deletes the rows of what memory has dropped, or a part of them. What a
// crash leaves is loaded and dropped again.
func (s *Streamer) deleteDropped(tx *transaction) error {
	d := &s.leader.dropped
	if len(d.events)+len(d.consumers) == 0 {
		d.events, d.consumers = s.journal.Sweep(max(sweepLimit, 2*len(tx.ops)))
	}
	tx.deletes = true
	ids := make([]any, len(d.events))
	for i, id := range d.events {
		ids[i] = id
	}
	if err := tx.execRows(s.queries.deleteEvents, len(ids), ids); err != nil {
		return err
	}
	for _, c := range d.consumers {
		if err := s.deleteCursor(tx, c.Life); err != nil {
			return err
		}
	}
	return nil
}

// apply does in memory what tx has written. It cannot fail, and reads no clock.
func (s *Streamer) apply(tx *transaction) {
	s.leader.lastID = tx.nextID - 1
	tx.acks = nil
	s.journal.Append(tx.events)
	for _, o := range tx.written {
		switch {
		case o.moves:
			s.journal.Ack(o.topic, o.name, o.life, o.id)
		case o.consumer.Life == 0:
		case o.told(): // that the outcome is unknown: nobody has the receiver
			s.leader.dropped.consumers = append(s.leader.dropped.consumers, o.consumer)
		default:
			o.receiver, _ = s.journal.Open(o.consumer) // no other life of it is open
		}
	}
}
