package rounds

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
)

// Table has peers by row and figures by column. A cell is a median.
type Table struct {
	Corner   string // the head of the peers
	Figures  []Figure
	Peers    []benchmarks.Peer
	Interval bool // each median with the interval around it
	Ratio    bool // and with its ratio to that of the first peer

	// Instead, if not nil, returns what a cell says instead, or "".
	Instead func(Figure, benchmarks.Peer) string
}

// Markdown returns the table of r.
func (t Table) Markdown(r *Results) string {
	rows := [][]string{{t.Corner}}
	for _, f := range t.Figures {
		rows[0] = append(rows[0], " "+f.Head)
	}
	for i, p := range t.Peers {
		row := []string{p.Title}
		for _, f := range t.Figures {
			cell := ""
			if t.Instead != nil {
				cell = t.Instead(f, p)
			}
			if s := r.Of(f, p); cell == "" && s != nil {
				cell = Show(f.Unit, s.Median())
				if t.Interval {
					cell += " ±" + s.summary().PctRangeString()
				}
				if t.Ratio && i > 0 && f.compares() {
					cell += " (" + Times(s.Over(r.Of(f, t.Peers[0])).Median()) + ")"
				}
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return markdown(rows)
}

// compares reports whether a ratio says anything. Of cores there is a floor that is noise.
func (f Figure) compares() bool {
	return f.Unit == Seconds || f.Unit == CPU || f.Unit == EventRate || f.Unit == BytesEach
}

// Goal is what the project wants a figure to be, for the peers in columns.
type Goal struct {
	Figure
	Over benchmarks.Peer // the bar is a ratio to its figure; if it has no name, a figure
	Bar  float64         // for events a second the least, for all else the most
	Why  string          // what a profile says where it is missed
}

// Goals returns a table of goals for peers, and why some are missed.
func (r *Results) Goals(goals []Goal, peers ...benchmarks.Peer) string {
	rows, why := [][]string{{"what", "to"}}, "\n"
	for _, p := range peers {
		rows[0] = append(rows[0], " "+p.Title)
	}
	rows[0] = append(rows[0], " goal", "")
	for _, g := range goals {
		row, sign, met := []string{g.Head, ""}, "≤ ", "met"
		if g.Unit == EventRate {
			sign = "≥ "
		}
		show := func(v float64) string { return Show(g.Unit, v) }
		over := r.Of(g.Figure, g.Over)
		if g.Over.Name != "" {
			row[1] = g.Over.Title + ", " + show(over.Median())
		}
		bar := show(g.Bar)
		for _, p := range peers {
			s := r.Of(g.Figure, p)
			if s == nil {
				row = append(row, "")
				continue
			}
			cell, measured := show(s.Median()), s
			if g.Over.Name != "" {
				measured, bar = s.Over(over), Times(g.Bar)
				cell += " (" + Times(measured.Median()) + ")"
			}
			if v := measured.Median(); g.Unit == EventRate && v < g.Bar || g.Unit != EventRate && v > g.Bar {
				met = "missed"
			}
			row = append(row, cell)
		}
		if met == "missed" && g.Why != "" {
			why += fmt.Sprintf("- %s, missed: %s.\n", g.Head, g.Why)
		}
		rows = append(rows, append(row, sign+bar, met))
	}
	return markdown(rows) + why
}

// markdown writes rows of cells, the first of which is the head, as a Markdown table
// whose columns are aligned in the text too. A column is shown aligned right where its
// head starts with a space.
func markdown(rows [][]string) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', 0)
	for i, row := range rows {
		rule := "|"
		for _, cell := range row {
			fmt.Fprintf(w, "| %s\t", strings.TrimSpace(cell))
			if strings.HasPrefix(cell, " ") {
				rule += "---:\t|"
			} else {
				rule += "---\t|"
			}
		}
		fmt.Fprintln(w, "|")
		if i == 0 {
			fmt.Fprintln(w, rule)
		}
	}
	_ = w.Flush() // a strings.Builder takes everything
	return text.String()
}
