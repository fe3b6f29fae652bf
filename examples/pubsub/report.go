package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// report prints what the handlers did, and what the streamer knows of them.
func (s *shop) report(out io.Writer) error {
	type total struct{ lanes, lag int64 }
	totals := make(map[string]total)
	for _, r := range s.streamer.Stats().Receivers {
		t := totals[r.Name]
		t.lag += r.Lag
		if strings.Contains(r.Topic, "#") {
			t.lanes++
		}
		totals[r.Name] = t
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "group\tlanes\tlag\thandled\tfailed tries\tout of order\t")
	for _, step := range steps {
		t := totals[step]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", step, cmp.Or(t.lanes, 1), t.lag, s.handled[step], s.failed[step], s.outOfOrder[step])
	}
	return w.Flush()
}
