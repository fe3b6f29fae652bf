package main

import (
	"fmt"
	"strings"
	"time"
)

// markdown returns the table of results, the first of which the others are
// compared to.
func markdown(results []result) string {
	rows := [][]string{{
		"", "1 → 1: CPU a message", "wall time", "after a later one",
		"there and back: CPU", "wall time",
		"stuck subscriber: published", "goroutines", "memory a message",
	}}
	for i, r := range results {
		row := []string{r.title}
		figure := func(of func(result) time.Duration) {
			text := format(of(r))
			if i > 0 {
				text += fmt.Sprintf(" (%.2g×)", float64(of(r))/float64(of(results[0])))
			}
			row = append(row, text)
		}
		figure(passCPU)
		figure(passWall)
		row = append(row, fmt.Sprintf("%.0f%%", 100*median(r.late, func(late float64) float64 { return late })))
		figure(pingPongCPU)
		figure(pingPongWall)
		published := median(r.stuck, func(b burden) int { return b.published })
		row = append(row,
			fmt.Sprintf("%d", published),
			fmt.Sprintf("%d", median(r.stuck, func(b burden) int { return b.goroutines })),
			memoryOf(published, median(r.stuck, func(b burden) int { return b.bytes })),
		)
		rows = append(rows, row)
	}
	return align(rows) + "\n" + verdict(results)
}

// The figures that are compared.
func passCPU(r result) time.Duration      { return median(r.pass, cpu) }
func passWall(r result) time.Duration     { return median(r.pass, wall) }
func pingPongCPU(r result) time.Duration  { return median(r.pingPong, cpu) }
func pingPongWall(r result) time.Duration { return median(r.pingPong, wall) }

// verdict says where Block is the faster one.
func verdict(results []result) string {
	var better []string
	for _, r := range results {
		if r.title != blocking {
			continue
		}
		for _, figure := range []struct {
			name string
			of   func(result) time.Duration
		}{
			{"CPU, 1 → 1", passCPU}, {"wall time, 1 → 1", passWall},
			{"CPU, there and back", pingPongCPU}, {"wall time, there and back", pingPongWall},
		} {
			if ours := figure.of(results[0]); figure.of(r) < ours {
				better = append(better, fmt.Sprintf("%s (%.2f×)", figure.name, float64(figure.of(r))/float64(ours)))
			}
		}
	}
	if len(better) == 0 {
		return "Block is nowhere the faster one.\n"
	}
	return "Block takes less than memstreamer in: " + strings.Join(better, "; ") + ".\n"
}

func format(d time.Duration) string {
	return fmt.Sprintf("%.3g µs", float64(d)/float64(time.Microsecond))
}

// memoryOf formats a memory by message, which says little of a few.
func memoryOf(published, each int) string {
	if published < 100 {
		return "the publisher waits"
	}
	return fmt.Sprintf("%d B", each)
}

// align returns a Markdown table, of which the first row is the head, whose
// columns are aligned in the text too.
func align(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)), 3)
		}
	}
	var b strings.Builder
	for i, row := range rows {
		for column, cell := range row {
			pad := strings.Repeat(" ", widths[column]-len([]rune(cell)))
			if column > 0 {
				cell, pad = pad+cell, ""
			}
			fmt.Fprintf(&b, "| %s%s ", cell, pad)
		}
		b.WriteString("|\n")
		if i > 0 {
			continue
		}
		for column, width := range widths {
			end := ":"
			if column == 0 {
				end = "-"
			}
			fmt.Fprintf(&b, "|%s%s", strings.Repeat("-", width+1), end)
		}
		b.WriteString("|\n")
	}
	return b.String()
}
