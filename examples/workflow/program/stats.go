package program

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
	delivered atomic.Int64 // orders
	badLines  atomic.Int64

	mu        sync.Mutex
	consumers map[string]*consumerStats
}

// consumerStats counts what one consumer does.
type consumerStats struct {
	handOffs                     []time.Duration // from the Send of each event to its first Recv
	redelivered, failed, crashed int
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.consumers[consumer]; redelivered {
		c.redelivered++
	} else {
		c.handOffs = append(c.handOffs, handOff)
	}
}

func (s *stats) failed(consumer string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.consumers[consumer]; errors.Is(err, errCrash) {
		c.crashed++
	} else {
		c.failed++
	}
}

// eventsLocked returns how many events have been received by the consumer of their
// topic, each counted once.
func (s *stats) eventsLocked() (events int) {
	for _, c := range s.consumers {
		events += len(c.handOffs)
	}
	return events
}

// line shows how far the work is.
func (s *stats) line(inProgress int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.eventsLocked()
	return fmt.Sprintf("%s orders delivered, %d in progress, %s events, %s a second",
		thousands(int(s.delivered.Load())), inProgress, thousands(events), rate(events, time.Since(s.start)))
}

// writeTable writes what s has counted, and the rates that makes over the time
// that it took. It is called when the engine has nothing left to do.
func (s *stats) writeTable(w io.Writer, took time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var table bytes.Buffer
	const row = "%-8s %9s %9s %9s %12s %7s %8s\n"
	fmt.Fprintf(&table, row, "consumer", "events", "p50", "p99", "redelivered", "failed", "crashed")
	var all consumerStats
	for _, name := range fulfilment.Consumers() {
		c := s.consumers[name]
		all.handOffs = append(all.handOffs, c.handOffs...)
		all.redelivered += c.redelivered
		all.failed += c.failed
		all.crashed += c.crashed
		fmt.Fprintf(&table, row, c.cells(name)...)
	}
	fmt.Fprintf(&table, row, all.cells("all")...)
	fmt.Fprintln(&table, "p50 and p99 are from Send to Recv")

	orders, events := int(s.delivered.Load()), s.eventsLocked()
	fmt.Fprintf(&table, "\n%-8s %9s delivered in %v, %s a second\n", "orders", thousands(orders), rounded(took), rate(orders, took))
	fmt.Fprintf(&table, "%-8s %9s handed on, %s a second\n", "events", thousands(events), rate(events, took))
	if badLines := s.badLines.Load(); badLines > 0 {
		fmt.Fprintf(&table, "%-8s %9s not accepted\n", "lines", thousands(int(badLines)))
	}
	_, err := w.Write(table.Bytes())
	return err
}

// cells returns a row of the table. It sorts the hand-offs.
func (c *consumerStats) cells(name string) []any {
	slices.Sort(c.handOffs)
	return []any{
		name, thousands(len(c.handOffs)), percentile(c.handOffs, 50), percentile(c.handOffs, 99),
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

// rate returns n a second.
func rate(n int, d time.Duration) string {
	if d <= 0 {
		return "0"
	}
	return thousands(int(float64(n) / d.Seconds()))
}

// thousands writes n with a comma between every three digits.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
