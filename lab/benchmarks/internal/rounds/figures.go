package rounds

import (
	"fmt"
	"math"

	"github.com/aclements/go-moremath/stats"
	"github.com/dustin/go-humanize"
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
)

// Sample is a figure by rounds.
type Sample []float64

// Median is of all rounds.
func (s Sample) Median() float64 { return stats.Sample{Xs: s}.Quantile(0.5) }

// Bounds are the least and the largest.
func (s Sample) Bounds() (least, largest float64) { return stats.Bounds(s) }

// Spread is half the range, as a part of the median.
func (s Sample) Spread() float64 {
	least, largest := s.Bounds()
	if least == largest {
		return 0
	}
	return (largest - least) / 2 / s.Median()
}

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
		if v < 0.1 {
			return fmt.Sprintf("%.4f", v)
		}
		return fmt.Sprintf("%.2f", v)
	case BytesEach:
		return scaled(v, 3, " ") + "B"
	case EventRate:
		return scaled(v, 3, "") + "/s"
	}
	return scaled(v, 3, " ") + "s"
}

// Tick names a power of ten of seconds.
func Tick(sec float64) string { return scaled(sec, 1, " ") + "s" }

// scaled writes v to so many digits, which space parts from the prefix of its
// unit.
func scaled(v float64, digits int, space string) string {
	scale := benchunit.CommonScale([]float64{v}, benchunit.Decimal) // to four digits
	scale.Prec = max(0, scale.Prec-4+digits)
	scale.Prefix = space + scale.Prefix
	return scale.Format(v)
}

// Times writes a ratio.
func Times(ratio float64) string {
	switch {
	case ratio < 0.1:
		return fmt.Sprintf("%.3f×", ratio)
	case ratio < 10:
		return fmt.Sprintf("%.2f×", ratio)
	}
	return humanize.Comma(int64(math.Round(ratio))) + "×"
}
