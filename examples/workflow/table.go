package main

import (
	"fmt"
	"strings"
	"time"
)

// table shows results, within 40 columns.
func table(orders, rate int, results []result) string {
	var b strings.Builder
	pace := "all at once"
	if rate > 0 {
		pace = fmt.Sprintf("%d a second", rate)
	}
	fmt.Fprintf(&b, "%d orders, %s, by seven\nsteps of luno/workflow\n\n", orders, pace)

	row := func(label string, cell func(result) string) {
		fmt.Fprintf(&b, "%-12s", label)
		for _, r := range results {
			fmt.Fprintf(&b, "%9s", cell(r))
		}
		b.WriteByte('\n')
	}
	row("", func(r result) string { return r.name })
	row("delivered", func(r result) string { return fmt.Sprint(len(r.took)) })
	row("tries failed", func(r result) string { return fmt.Sprint(r.failures) })
	row("run, mean", func(r result) string { return digits(mean(r.took)) })
	row("run, p99", func(r result) string { return digits(percentile(r.took, 99)) })
	row("CPU", func(r result) string { return digits(r.cpu) })
	row("goroutines", func(r result) string { return fmt.Sprint(r.goroutines) })
	row("heap, MB", func(r result) string { return fmt.Sprintf("%.1f", max(0, float64(r.heap)/1e6)) })
	row("names kept", func(r result) string { return fmt.Sprint(r.kept) })
	row("idle, cores", func(r result) string {
		if r.cores < 0 {
			return "-"
		}
		return fmt.Sprintf("%.4f", r.cores)
	})

	b.WriteByte('\n')
	for _, r := range results {
		fmt.Fprintf(&b, "%-8s %s\n", r.name, r.is)
	}
	b.WriteString(`
A run waits for the engine's outbox,
which looks for events every 250 ms.
Parked, it has each as it is stored.
Each order is awaited: the adapter keeps
the name of every Await for good.
`)
	return b.String()
}

// mean is that of at least one.
func mean(took []time.Duration) (sum time.Duration) {
	for _, d := range took {
		sum += d
	}
	return sum / time.Duration(len(took))
}

// percentile returns the p-th percentile of sorted, by nearest rank.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)*p+99)/100-1]
}

// digits writes three digits of d.
func digits(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
