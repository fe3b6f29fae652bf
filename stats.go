package memstreamer

import (
	"cmp"
	"slices"
	"time"
)

// Stats is a streamer at one moment, as [StreamConstructor.Stats] returns it.
type Stats struct {
	Topics    []TopicStats    // by Topic
	Receivers []ReceiverStats // by Topic, then Name
}

// TopicStats is one topic of a [Stats].
type TopicStats struct {
	Topic           string
	Retained        int   // events kept
	FirstID, LastID int64 // of the oldest and the newest event kept; 0 when there is none
	Sent            int64 // events sent to the topic since it was made
}

// ReceiverStats is one consumer of a [Stats], with or without an open receiver. An
// ephemeral receiver is a consumer by itself, so that there may be several of one
// topic and name. If the consumer has a [Shard], Lag, OldestUnacked and Acked are of the
// events of that alone.
type ReceiverStats struct {
	Topic, Name string
	Ephemeral   bool
	Open        int   // receivers that were not closed, each by its own Close
	Parked      int   // calls of Recv that wait
	Lag         int64 // events kept and not acked
	AckedID     int64 // of the newest event acked; 0 when there is none

	// OldestUnacked is the CreatedAt of the oldest event kept and not acked: the one
	// that Recv returns next. It is zero where Lag is 0. A connector's event has the
	// CreatedAt that it was given.
	OldestUnacked time.Time
	// Deliveries is how often Recv has returned that event, over all receivers of the
	// consumer; an ack sets it to 0. A step that fails again and again shows here.
	Deliveries int64
	Acked      int64 // events acked since the consumer was made
}

// Stats first drops all that has expired (see [WithRetention]), in steps that let
// other calls in between. It then returns a consistent snapshot of all topics and
// cursors, which is the caller's own. It may be called at any time, also after
// Close. The streamer is locked while the numbers are copied, not while they are
// sorted: BenchmarkStats measures both with 10,000 receivers.
func (s *StreamConstructor) Stats() Stats {
	for more := true; more; {
		now := s.lock()
		more = s.retention.sweep(now, sweepLimit)
		s.mu.Unlock()
	}
	stats := s.snapshot()
	slices.SortFunc(stats.Topics, func(a, b TopicStats) int {
		return cmp.Compare(a.Topic, b.Topic)
	})
	slices.SortFunc(stats.Receivers, func(a, b ReceiverStats) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Name, b.Name))
	})
	return stats
}

func (s *StreamConstructor) snapshot() Stats {
	s.mu.Lock()
	topics, cursors := s.topics.len, s.cursors
	s.mu.Unlock()
	// Allocate without the lock, since large slices take long, and with room for
	// what is added meanwhile.
	stats := Stats{
		Topics:    make([]TopicStats, 0, topics+topics/8),
		Receivers: make([]ReceiverStats, 0, cursors+cursors/8),
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.topics.all() {
		stats.Topics = append(stats.Topics, t.stats())
		for c := range t.cursors.all() {
			stats.Receivers = append(stats.Receivers, c.stats())
		}
	}
	return stats
}

func (t *topic) stats() TopicStats {
	stats := TopicStats{Topic: t.name, Retained: t.log.kept(), Sent: t.log.appended()}
	if stats.Retained > 0 {
		stats.FirstID, stats.LastID = t.log.oldest().id, t.log.newest().id
	}
	return stats
}

func (c *cursor) stats() ReceiverStats {
	stats := ReceiverStats{
		Topic:      c.topic.name,
		Name:       c.name,
		Ephemeral:  c.ephemeral,
		Open:       c.receivers,
		Parked:     c.parked,
		Lag:        c.lag(),
		AckedID:    c.ackedID,
		Deliveries: c.deliveries,
		Acked:      c.acked,
	}
	if stats.Lag > 0 {
		stats.OldestUnacked = c.shard.at(c.next).createdAt()
	}
	return stats
}
