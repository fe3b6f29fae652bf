package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// figure names what a benchmark measures in one unit.
type figure struct {
	suite suite
	bench string
	unit  string
}

// The units, as benchfmt names them.
const (
	seconds   = "sec/op"
	cpu       = "cpu-sec/op"
	worst     = "max-sec"
	cores     = "cores"
	bytesEach = "B/event"
	eventRate = "events/s"
)

// results has one value of each figure from each round.
type results struct {
	rounds int
	quick  bool
	took   time.Duration
	cpu    string
	values map[figure]sample
}

func newResults(rounds int) *results {
	return &results{rounds: rounds, values: make(map[figure]sample)}
}

// of returns a figure that the plan has measured.
func (r *results) of(s suite, bench, unit string) sample {
	values := r.values[figure{s, bench, unit}]
	if len(values) != r.rounds {
		panic(fmt.Sprintf("report: %d values of %s %s in %s, want %d", len(values), s, bench, unit, r.rounds))
	}
	return values
}

// sample is a figure by rounds.
type sample []float64

func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func (s sample) min() float64 { return slices.Min(s) }
func (s sample) max() float64 { return slices.Max(s) }

// spread is half the range, as a part of the median.
func (s sample) spread() float64 {
	if s.min() == s.max() {
		return 0
	}
	return (s.max() - s.min()) / 2 / s.median()
}

// over divides round by round: a machine that is slow for a while is slow for
// both.
func (s sample) over(t sample) sample {
	ratios := make(sample, len(s))
	for i := range s {
		ratios[i] = s[i] / t[i]
	}
	return ratios
}

// show writes a figure for people: three digits where there are as many.
func show(unit string, v float64) string {
	switch unit {
	case cores:
		return coresUsed(v)
	case bytesEach:
		return digits(v) + " B"
	case eventRate:
		if v >= 1e6 {
			return digits(v/1e6) + "M/s"
		}
		return digits(v/1e3) + "k/s"
	}
	return duration(v)
}

func duration(sec float64) string {
	v, unit := scaled(sec)
	return digits(v) + " " + unit
}

// scaled returns sec in the largest unit that is not larger.
func scaled(sec float64) (float64, string) {
	for _, unit := range []string{"s", "ms", "µs"} {
		if sec > 0.9999 {
			return sec, unit
		}
		sec *= 1000
	}
	return sec, "ns"
}

func coresUsed(n float64) string {
	if n < 0.1 {
		return fmt.Sprintf("%.4f", n)
	}
	return fmt.Sprintf("%.2f", n)
}

func times(ratio float64) string {
	switch {
	case ratio < 0.1:
		return fmt.Sprintf("%.3f×", ratio)
	case ratio < 10:
		return fmt.Sprintf("%.2f×", ratio)
	}
	return thousands(int(math.Round(ratio))) + "×"
}

func plusMinus(spread float64) string { return fmt.Sprintf("±%.0f%%", 100*spread) }

// thousands has a comma in it from a thousand on, for n of up to six digits.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

func digits(v float64) string {
	if v == 0 {
		return "0"
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	return fmt.Sprintf("%.*f", decimals, v)
}
