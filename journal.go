package memstreamer

import (
	"fmt"
	"iter"
	"slices"
)

// Journal keeps a [StreamConstructor] in step with a durable copy. It is for those who
// write a durable streamer: each event, position and consumer is written first, to a
// file say, and then applied here, so that receivers park in memory. Its methods are
// safe for concurrent use. All but Resume work after Close, too: what was committed is
// applied. Later releases add methods and change none. Make one with
// [StreamConstructor.Journal].
//
// The caller chooses the IDs of events and the lives of consumers. Send only by Append,
// and ack only by Ack: what a sender of the streamer sends, and what the Ack of a
// receiver commits, is not in the journal. The exception is an [Ephemeral] receiver:
// open it by NewReceiver, and ack by its own Ack.
type Journal struct{ streamer *StreamConstructor }

// Consumer is a consumer as a journal keeps it.
type Consumer struct {
	Topic, Name string

	// Life tells one making of a consumer from the next: a consumer that is forgotten
	// and opened again has another. It is greater than 0, and never used again, also
	// not after a restart.
	Life int64

	After   int64 // events of a greater ID are not acked
	AckedID int64 // of the newest event acked; 0 if there is none

	ShardIndex, ShardCount int // of its [Shard]; 0 if it was made with none
}

// dropped is what a journal has yet to be told.
type dropped struct {
	events    segments[int64]
	consumers segments[Consumer]
}

// Journal returns the Journal of s. From then on, s remembers what it drops until
// [Journal.Sweep] returns it.
func (s *StreamConstructor) Journal() Journal {
	s.mustBeMade()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped == nil {
		s.dropped = new(dropped)
	}
	return Journal{s}
}

// Load adds what the journal has kept to a streamer that nothing has used yet: the
// events with their topics, by rising ID, and then the consumers, which count as
// closed from now on. An event is read before the next is asked for, and not kept.
// Nothing is dropped for its age before the consumers are there. Later IDs must be
// greater than lastID and than that of the last event.
func (j Journal) Load(events iter.Seq2[string, *Event], consumers []Consumer, lastID int64) {
	j.Append(events)
	now := j.streamer.lock()
	defer j.streamer.sweepAndUnlock(now)
	j.streamer.lastID = max(j.streamer.lastID, lastID)
	for _, c := range consumers {
		t := j.streamer.topic(c.Topic)
		own := t.add(t.shard(c.ShardIndex, c.ShardCount), c)
		j.streamer.retention.schedule(&own.expiry, now)
	}
}

// Append adds events with their topics, whose IDs rise, and wakes the receivers of
// those topics. An event is read before the next is asked for, and not kept. Its age
// counts from its CreatedAt, by the monotonic reading if that has one. Append reads
// no clock, and cannot fail.
func (j Journal) Append(events iter.Seq2[string, *Event]) {
	s := j.streamer
	var payload []byte
	for topic, e := range events {
		payload = packEvent(payload[:0], e.ForeignID, e.Type, e.Headers)
		s.mu.Lock()
		t := s.topic(topic)
		s.lastID = e.ID
		t.append(e.ID, e.CreatedAt, s.age(e.CreatedAt), payload)
		s.mu.Unlock()
		t.all.changed.Broadcast()
	}
}

// Ack moves the position of a consumer past the event of that ID. It changes nothing if
// the position is past it already, or if that life of the consumer is over.
func (j Journal) Ack(topic, name string, life, id int64) {
	s := j.streamer
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.consumer(topic, name); c != nil && c.life == life {
		if position := c.shard.after(id); position > c.next {
			c.advance(position)
		}
	}
}

// Consumer returns where a consumer is. It reports false if there is none, and then
// returns where NewReceiver would start it with these options, with a Life of 0.
func (j Journal) Consumer(topic, name string, o ReceiverOptions) (Consumer, bool) {
	s := j.streamer
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.unexpired(topic, name, now); c != nil {
		return c.consumer(), true
	}
	after := s.lastID
	if t := s.topics.get(topic); t != nil {
		after = t.all.before(t.all.start(o, now))
	}
	return Consumer{Topic: topic, Name: name, After: after, ShardIndex: o.ShardIndex, ShardCount: o.ShardCount}, false
}

// Resume opens a receiver of a consumer with these options, and returns the consumer's
// life. It returns nil if there is no such consumer, [ErrClosed] if the streamer is
// closed, and [ErrShard] if the consumer has another shard.
func (j Journal) Resume(topic, name string, o ReceiverOptions) (EventReceiver, int64, error) {
	s := j.streamer
	now := s.lock()
	defer s.sweepAndUnlock(now)
	if s.closed != nil {
		return nil, 0, s.closed
	}
	c := s.unexpired(topic, name, now)
	if c == nil {
		return nil, 0, nil
	}
	if err := c.check(o); err != nil {
		return nil, 0, err
	}
	return c.topic.open(c), c.life, nil
}

// Open opens a receiver of c, which it makes if c is not there. An earlier life of c
// is forgotten. It fails, with an error that says so, while a receiver of another life
// is open. The receiver of a streamer that is closed is closed, too.
func (j Journal) Open(c Consumer) (EventReceiver, error) {
	s := j.streamer
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topic(c.Topic)
	t.users++ // so that t stays while shard unlocks mu
	defer t.leave()
	of := t.shard(c.ShardIndex, c.ShardCount)
	own := s.consumer(c.Topic, c.Name)
	if own != nil && own.life != c.Life {
		if own.receivers > 0 {
			return nil, fmt.Errorf("memstreamer: Open: a receiver of topic %q and name %q is open, of life %d and not %d", c.Topic, c.Name, own.life, c.Life)
		}
		own.forget()
		own = nil
	}
	if own == nil {
		own = t.add(of, c)
	}
	return t.open(own), nil
}

// Sweep drops at most limit expired items. It returns the IDs of events and the
// consumers that any call has dropped and no Sweep has returned, in the order in which
// they were dropped, at most limit of each: as many as limit means there may be more. It
// returns each once, so the caller keeps them until they are deleted. A consumer that
// Open has made again, in the same life, is not among them.
func (j Journal) Sweep(limit int) (events []int64, consumers []Consumer) {
	s := j.streamer
	for left := limit; left > 0; left -= sweepLimit {
		now := s.lock()
		more := s.retention.sweep(now, min(left, sweepLimit))
		s.mu.Unlock()
		if !more {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	consumers = slices.DeleteFunc(s.dropped.consumers.shift(limit), func(c Consumer) bool {
		own := s.consumer(c.Topic, c.Name)
		return own != nil && own.life == c.Life
	})
	return s.dropped.events.shift(limit), consumers
}

// The callers of the functions below must hold mu.

// add makes a cursor for c, which is of that shard.
func (t *topic) add(s *shard, c Consumer) *cursor {
	own := t.newCursor(s, c.Name, s.after(c.After), false)
	own.life, own.ackedID = c.Life, c.AckedID
	return own
}

func (c *cursor) consumer() Consumer {
	return Consumer{
		Topic: c.topic.name, Name: c.name, Life: c.life, After: c.shard.before(c.next), AckedID: c.ackedID,
		ShardIndex: c.shard.index, ShardCount: c.shard.count,
	}
}
