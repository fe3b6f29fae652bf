package memstreamer

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// What tests outside the package may see of its inside.
const (
	SweepLimit  = sweepLimit
	SegmentSize = segmentSize
	MaxChunk    = maxChunk
)

// HasTopic reports whether there is such a topic, and sweeps nothing.
func (s *StreamConstructor) HasTopic(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics.get(name) != nil
}

// Retained returns how many events a topic keeps, and sweeps nothing.
func (s *StreamConstructor) Retained(topic string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics.get(topic).log.kept()
}

// Retained returns how many events a connector keeps, and sweeps nothing.
func (c *Connector) Retained() int { return c.streamer().Retained(connectorTopic) }

// SharesNames reports whether the streamer keeps the very bytes of topic or name,
// rather than copies.
func (s *StreamConstructor) SharesNames(topic, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := func(a, b string) bool { return unsafe.StringData(a) == unsafe.StringData(b) }
	t := s.topics.get(topic)
	shared := same(t.name, topic)
	s.topics.entries.Range(func(key, _ any) bool {
		shared = shared || same(key.(string), topic)
		return true
	})
	t.cursors.entries.Range(func(key, c any) bool {
		shared = shared || same(key.(string), name) || same(c.(*cursor).name, name)
		return true
	})
	return shared
}

// CountWakeUps counts from now on how often a receiver that parks on the topic wakes.
// None may be parked yet.
func (s *StreamConstructor) CountWakeUps(topic string) func() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	woken := &countingLocker{Locker: &s.mu}
	t := s.topics.get(topic)
	t.all.changed.L = woken
	for _, shards := range t.shards {
		for _, of := range shards {
			of.changed.L = woken
		}
	}
	return woken.n.Load
}

// countingLocker counts the calls of Lock, which are those of Wait as it returns.
type countingLocker struct {
	sync.Locker
	n atomic.Int64
}

func (l *countingLocker) Lock() {
	l.n.Add(1)
	l.Locker.Lock()
}
