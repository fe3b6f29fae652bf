package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// stats counts what the engine does.
type stats struct {
	start     time.Time
	delivered atomic.Int64
	badLines  atomic.Int64
	events    atomic.Int64              // received by the consumer of their topic, each counted once
	consumers map[string]*consumerStats // by name, the outbox's relay among them
}

// consumerStats counts what one consumer does.
type consumerStats struct {
	mu          sync.Mutex
	handOffs    []time.Duration // from the Send of each event to its first Recv
	redelivered int
	failed      int
	crashed     int
}

func newStats() *stats {
	s := &stats{start: time.Now(), consumers: make(map[string]*consumerStats)}
	for _, name := range append(fulfilment.Consumers(), fulfilment.Outbox) {
		s.consumers[name] = new(consumerStats)
	}
	return s
}

// received counts an event that a consumer has received. The streamer is in
// this process, so that its CreatedAt is an instant of this process's clock.
func (s *stats) received(consumer string, event *fulfilment.Event, redelivered bool) {
	handOff := time.Since(event.CreatedAt)
	c := s.consumers[consumer]
	c.mu.Lock()
	defer c.mu.Unlock()
	if redelivered {
		c.redelivered++
		return
	}
	s.events.Add(1)
	c.handOffs = append(c.handOffs, handOff)
}

func (s *stats) failed(consumer string) {
	c := s.consumers[consumer]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed++
}

func (s *stats) crashed(consumer string) {
	c := s.consumers[consumer]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crashed++
}

// add counts what other has counted.
func (c *consumerStats) add(other *consumerStats) {
	other.mu.Lock()
	defer other.mu.Unlock()
	c.handOffs = append(c.handOffs, other.handOffs...)
	c.redelivered += other.redelivered
	c.failed += other.failed
	c.crashed += other.crashed
}
