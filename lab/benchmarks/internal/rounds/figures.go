package rounds

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/perf/benchmath"
	"golang.org/x/perf/benchunit"
)

// The units, as benchfmt spells them.
const (
	Seconds   = "sec/op"
	CPU       = "cpu-sec/op"
	Worst     = "max-sec"
	Cores     = "cores"
	BytesEach = "B/event"
	EventRate = "events/s"
	Late      = "late/op"
)

// Sample is a figure by rounds.
type Sample []float64

// summary has the median, with an interval of 95% confidence. Fewer than six rounds
// cannot give that: then the interval is their range.
func (s Sample) summary() benchmath.Summary {
	attained := 1 - math.Pow(2, float64(1-len(s)))
	return benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(s), &benchmath.DefaultThresholds), min(0.95, attained))
}

// Median is of all rounds.
func (s Sample) Median() float64 { return s.summary().Center }

// Over divides round by round: a machine that is slow for a while is slow for
// both.
func (s Sample) Over(t Sample) Sample {
	ratios := make(Sample, len(s))
	for i := range s {
		ratios[i] = s[i] / t[i]
	}
	return ratios
}

// Show writes a figure for people: three digits where there are as many.
func Show(unit string, v float64) string {
	switch unit {
	case Cores:
		return fmt.Sprintf("%.4f", v)
	case Late:
		return fmt.Sprintf("%.0f%%", 100*v)
	case BytesEach:
		return scaled(v, " ") + "B"
	case EventRate:
		return scaled(v, "") + "/s"
	}
	if strings.Contains(unit, "sec") {
		return scaled(v, " ") + "s"
	}
	return humanize.Comma(int64(math.Round(v)))
}

// scaled writes three digits of v, which space parts from the prefix of its unit.
func scaled(v float64, space string) string {
	scale := benchunit.CommonScale([]float64{v}, benchunit.Decimal) // to four digits
	scale.Prec = max(0, scale.Prec-1)
	scale.Prefix = space + scale.Prefix
	return scale.Format(v)
}

// Times writes a ratio.
func Times(ratio float64) string {
	switch {
	case ratio < 0.01:
		return fmt.Sprintf("%.5f×", ratio)
	case ratio < 0.1:
		return fmt.Sprintf("%.3f×", ratio)
	case ratio < 10:
		return fmt.Sprintf("%.2f×", ratio)
	}
	return humanize.Comma(int64(math.Round(ratio))) + "×"
}
