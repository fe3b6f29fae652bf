package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
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
	events    atomic.Int64 // received by the consumer of their topic, each counted once
	consumers map[string]*consumerStats
}

// consumerStats counts what one consumer does.
type consumerStats struct {
	mu                           sync.Mutex
	handOffs                     []time.Duration // from the Send of each event to its first Recv
	redelivered, failed, crashed int64
}

func newStats() *stats {
	s := &stats{start: time.Now(), consumers: make(map[string]*consumerStats)}
	for _, name := range append(fulfilment.Consumers(), fulfilment.Outbox) {
		s.consumers[name] = new(consumerStats)
	}
	return s
}

// received counts an event that a consumer has received. The streamer is in
// this process, so its CreatedAt is an instant of this process's clock.
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

func (s *stats) failed(consumer string, err error) {
	c := s.consumers[consumer]
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, crashed := errors.AsType[*fulfilment.Crash](err); crashed {
		c.crashed++
	} else {
		c.failed++
	}
}

// writeTable writes what s has counted, and the rates that makes over the time
// that it took. It is called when the engine has nothing left to do.
func writeTable(w io.Writer, s *stats, took time.Duration) error {
	var table bytes.Buffer
	const row = "%-8s %9s %9s %9s %12s %7s %8s\n"
	fmt.Fprintf(&table, row, "consumer", "events", "p50", "p99", "redelivered", "failed", "crashed")
	all := new(consumerStats)
	for _, name := range fulfilment.Consumers() {
		c := s.consumers[name]
		c.mu.Lock()
		all.handOffs = append(all.handOffs, c.handOffs...)
		all.redelivered += c.redelivered
		all.failed += c.failed
		all.crashed += c.crashed
		fmt.Fprintf(&table, row, c.cells(name)...)
		c.mu.Unlock()
	}
	fmt.Fprintf(&table, row, all.cells("all")...)
	fmt.Fprintln(&table, "p50 and p99 are from Send to Recv")

	delivered, events := s.delivered.Load(), s.events.Load()
	fmt.Fprintf(&table, "\n%-8s %9s delivered in %v, %s a second\n",
		"orders", thousands(delivered), rounded(took), thousands(rate(delivered, took)))
	fmt.Fprintf(&table, "%-8s %9s handed on, %s a second\n",
		"events", thousands(events), thousands(rate(events, took)))
	if badLines := s.badLines.Load(); badLines > 0 {
		fmt.Fprintf(&table, "%-8s %9s not accepted\n", "lines", thousands(badLines))
	}
	_, err := w.Write(table.Bytes())
	return err
}

// cells returns a row of the table. It sorts the hand-offs.
func (c *consumerStats) cells(name string) []any {
	slices.Sort(c.handOffs)
	return []any{
		name, thousands(int64(len(c.handOffs))), percentile(c.handOffs, 50), percentile(c.handOffs, 99),
		thousands(c.redelivered), thousands(c.failed), thousands(c.crashed),
	}
}

// percentile returns the p-th percentile of sorted, by nearest rank, for a cell.
func percentile(sorted []time.Duration, p int) string {
	if len(sorted) == 0 {
		return "-"
	}
	rank := (len(sorted)*p + 99) / 100
	return rounded(sorted[rank-1]).String()
}

// rounded leaves three digits or a few more of d.
func rounded(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

func rate(n int64, d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64(float64(n) / d.Seconds())
}

// thousands writes n with a comma between every three digits.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
