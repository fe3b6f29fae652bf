package main

import (
	"fmt"
	"runtime"
	"slices"
	"time"
)

// heapWatch tells whether the heap goes on growing once it has settled.
type heapWatch struct {
	settling time.Duration
	sizes    []uint64 // since it has settled
}

// measure returns the size of the heap without its garbage.
func (h *heapWatch) measure(elapsed time.Duration) uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if elapsed >= h.settling {
		h.sizes = append(h.sizes, m.HeapAlloc)
	}
	return m.HeapAlloc
}

// grew returns an error when the heap was never as small in the last third of
// the run as it was at its largest in the first, with a little to spare: what
// leaks only grows, and what is in use goes up and down.
func (h *heapWatch) grew() error {
	third := len(h.sizes) / 3
	if third == 0 {
		return fmt.Errorf("%d measurements of the heap are too few to judge it: let it run longer", len(h.sizes))
	}
	const spare = 1 << 20
	largest, smallest := slices.Max(h.sizes[:third]), slices.Min(h.sizes[len(h.sizes)-third:])
	if smallest > largest+largest/20+spare {
		return fmt.Errorf("the heap grew: it was at most %.1f MB in the first third, and at least %.1f MB in the last",
			float64(largest)/1e6, float64(smallest)/1e6)
	}
	return nil
}
