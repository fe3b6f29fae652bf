package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// writeTable writes what s has counted, and the rates that makes over the time
// that it took.
func writeTable(w io.Writer, s *stats, took time.Duration) {
	const row = "%-10s %10s %10s %10s %12s %8s %8s\n"
	fmt.Fprintf(w, row, "consumer", "events", "p50", "p99", "redelivered", "failed", "crashed")
	all := new(consumerStats)
	for _, name := range fulfilment.Consumers() {
		c := s.consumers[name]
		all.add(c)
		fmt.Fprintf(w, row, c.cells(name)...)
	}
	fmt.Fprintf(w, row, all.cells("all")...)

	delivered, events := s.delivered.Load(), s.events.Load()
	fmt.Fprintf(w, "\n%-10s %10s delivered in %v, %s a second\n",
		"orders", thousands(delivered), rounded(took), thousands(rate(delivered, took)))
	fmt.Fprintf(w, "%-10s %10s handed on, %s a second; p50 and p99 are from Send to Recv\n",
		"events", thousands(events), thousands(rate(events, took)))
	if badLines := s.badLines.Load(); badLines > 0 {
		fmt.Fprintf(w, "%-10s %10s not an order\n", "lines", thousands(badLines))
	}
}

// cells returns a row of the table. It sorts the consumer's hand-offs.
func (c *consumerStats) cells(name string) []any {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.handOffs)
	return []any{
		name, thousands(int64(len(c.handOffs))), percentile(c.handOffs, 50), percentile(c.handOffs, 99),
		thousands(int64(c.redelivered)), thousands(int64(c.failed)), thousands(int64(c.crashed)),
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
