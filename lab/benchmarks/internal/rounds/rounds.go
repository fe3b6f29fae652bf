// Package rounds runs benchmarks round by round, each in a process of its own, so
// that a machine that drifts is slow for all alike. Its figures are for reports:
// medians, ratios, tables.
package rounds

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"
)

// Benchmark is one to run.
type Benchmark struct {
	Package string
	Name    string // without the prefix Benchmark; no two of a plan share one
	Time    string // of -test.benchtime
	Short   bool   // with -test.short
}

// Figure is the name of a benchmark, and a unit of what it measures.
type Figure [2]string

// Results has one value of each figure from each round.
type Results struct {
	Rounds int
	Quick  bool // the figures mean nothing
	Took   time.Duration
	CPU    string // the processor's name
	Values map[Figure]Sample
}

// Of returns a figure that the plan has measured.
func (r *Results) Of(benchmark, unit string) Sample {
	values := r.Values[Figure{benchmark, unit}]
	if len(values) != r.Rounds {
		panic(fmt.Sprintf("rounds: %d values of %s in %s, want %d", len(values), benchmark, unit, r.Rounds))
	}
	return values
}

// Run measures the plan, and tells on standard error how far it is. Flags go to
// the test binaries, after those that it sets.
func Run(ctx context.Context, plan []Benchmark, rounds int, flags ...string) (*Results, error) {
	dir, err := os.MkdirTemp("", "memstreamer-rounds-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	p := newProgress(os.Stderr)
	defer p.clear()

	binaries := make(map[string]string) // by package
	for _, b := range plan {
		if binaries[b.Package] != "" {
			continue
		}
		p.say("building the benchmarks of %s", b.Package)
		binary := filepath.Join(dir, fmt.Sprintf("%d.test.exe", len(binaries))) // the suffix is for Windows
		if output, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, b.Package).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the benchmarks of %s: %w\n%s", b.Package, err, output)
		}
		binaries[b.Package] = binary
	}

	found := &Results{Rounds: rounds, Values: make(map[Figure]Sample)}
	plan = slices.Clone(plan)
	start := time.Now()
	for round := range rounds {
		for i, b := range plan {
			p.say("round %d of %d%s: %s", round+1, rounds, left(time.Since(start), round*len(plan)+i, rounds*len(plan)), b.Name)
			args := []string{"-test.run=^$", "-test.bench=" + b.pattern(), "-test.benchtime=" + b.Time, "-test.timeout=5m", fmt.Sprint("-test.short=", b.Short)}
			cmd := exec.CommandContext(ctx, binaries[b.Package], append(args, flags...)...)
			cmd.Dir = dir
			output, err := cmd.CombinedOutput()
			if err == nil {
				err = found.add(b, output)
			}
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w\n%s", b.Package, b.Name, err, output)
			}
		}
		// Back and forth, so that what comes first does so only every other round.
		slices.Reverse(plan)
	}
	found.Took = time.Since(start).Round(time.Second)
	return found, nil
}

// pattern matches b alone.
func (b Benchmark) pattern() string {
	return "^Benchmark" + strings.ReplaceAll(regexp.QuoteMeta(b.Name), "/", "$/^") + "$"
}

// add reads what a run of b has printed.
func (r *Results) add(b Benchmark, output []byte) error {
	reader := benchfmt.NewReader(bytes.NewReader(output), b.Name)
	added := 0
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		added++
		r.CPU = result.GetConfig("cpu")
		for _, value := range result.Values {
			key := Figure{b.Name, value.Unit}
			r.Values[key] = append(r.Values[key], value.Value)
		}
	}
	if err := reader.Err(); err != nil {
		return err
	}
	if added != 1 {
		return fmt.Errorf("printed %d results of benchmarks, want 1", added)
	}
	return nil
}
