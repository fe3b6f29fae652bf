package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

// took returns what so many runs took: so many times the unit.
func took(n int, unit time.Duration) (all []time.Duration) {
	for i := range n {
		all = append(all, time.Duration(i+1)*unit)
	}
	return all
}

func TestTable(t *testing.T) {
	results := []result{
		{arrangements[0], took(100, 10*time.Millisecond), 8, 149*time.Millisecond + 1, 31, 1_094_000, 110, 0.01374},
		{arrangements[1], took(100, 9876*time.Microsecond), 8, 97600 * time.Microsecond, 22, 512_000, 10, 0.0021},
		{arrangements[2], took(34, 12345*time.Nanosecond), 2, 999_999, 22, -4096, 10, -1},
	}
	assert.Equal(t, `100 orders, 50 a second, by seven
steps of luno/workflow

              adapter     ours   parked
delivered         100      100       34
tries failed        8        8        2
run, mean       505ms    499ms    216µs
run, p99        990ms    978ms    420µs
CPU             149ms   97.6ms      1ms
goroutines         31       22       22
heap, MB          1.1      0.5      0.0
names kept        110       10       10
idle, cores    0.0137   0.0021        -

adapter  the engine's own, in memory
ours     memstreamer in its place
parked   ours, with luno.ParkOutbox

A run waits for the engine's outbox,
which looks for events every 250 ms.
Parked, it has each as it is stored.
Each order is awaited: the adapter keeps
the name of every Await for good.
`, table(100, 50, results))
	assert.Contains(t, table(100, 0, results[1:2]), "100 orders, all at once, by seven\nsteps of luno/workflow\n\n                 ours\n")
}

// The widest cells: a million orders that take hours each.
func TestTableIsNarrow(t *testing.T) {
	wide := result{arrangements[0], took(1_000_000, 10*time.Millisecond), 123_456, 3 * time.Hour, 1_000_000, 12_345_600_000, 1_000_010, 63.9999}
	for line := range strings.Lines(table(1_000_000, 10_000, []result{wide, wide, wide})) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 40, line)
	}
}

func TestPercentile(t *testing.T) {
	hundred := took(100, time.Millisecond)
	assert.Equal(t, 99*time.Millisecond, percentile(hundred, 99))
	assert.Equal(t, time.Millisecond, percentile(hundred[:1], 99))
	assert.Equal(t, 2*time.Millisecond, percentile(hundred[:3], 50))
}

func TestDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 98765: "98.8µs", 1234567: "1.23ms", 5432198765: "5.43s", 2*time.Hour + 3*time.Second: "2h0m0s",
	} {
		assert.Equal(t, want, digits(d))
	}
}
