// Package rounds runs benchmarks round by round, each in a process of its own, so that a
// machine that drifts is slow for all alike, and writes their figures into the sections
// of files. It imports lab/benchmarks; the commands beside this folder import it.
package rounds

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
)

// The packages of benchmarks.
const (
	Root  = "github.com/memstreamer/memstreamer"
	Peers = Root + "/lab/benchmarks"
	Chaos = Root + "/lab/chaos"
)

// Benchmark is one to run.
type Benchmark struct {
	Package string
	Name    string // without the prefix Benchmark; those of one name run once
	Time    string // of -test.benchtime
	Short   bool   // with -test.short
}

// Figure is a unit of what the benchmark of a job measures for each peer.
type Figure struct {
	Head  string // of its column in a table
	Job   string // the benchmark's name up to that of a peer
	Unit  string
	Time  string // of -test.benchtime: a count where CPU is measured, whose collections depend on it
	Short bool   // with -test.short
}

// Plan returns the benchmarks of figures and peers, the peers of a job one after another.
func Plan(pkg string, figures []Figure, peers ...benchmarks.Peer) (plan []Benchmark) {
	for _, f := range figures {
		for _, p := range peers {
			plan = append(plan, Benchmark{pkg, f.Job + p.Name, f.Time, f.Short})
		}
	}
	return plan
}

// Results has one value of each unit of each benchmark from each round.
type Results struct {
	Rounds int
	CPU    string // the processor's name
	Values map[[2]string]Sample
}

// Of returns what f is for p. It is empty if that was not measured.
func (r *Results) Of(f Figure, p benchmarks.Peer) Sample {
	return r.Values[[2]string{f.Job + p.Name, f.Unit}]
}

// Run measures the plan, and tells on stderr which round is under way.
func Run(ctx context.Context, plan []Benchmark, rounds int, stderr io.Writer) (*Results, error) {
	dir, err := os.MkdirTemp("", "memstreamer-rounds-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binaries := make(map[string]string) // by package
	for _, b := range plan {
		if binaries[b.Package] != "" {
			continue
		}
		binary := filepath.Join(dir, fmt.Sprintf("%d.test.exe", len(binaries))) // the suffix is for Windows
		if output, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, b.Package).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the benchmarks of %s: %w\n%s", b.Package, err, output)
		}
		binaries[b.Package] = binary
	}

	found := &Results{Rounds: rounds, Values: make(map[[2]string]Sample)}
	plan = slices.Clone(plan)
	start := time.Now()
	for round := range rounds {
		fmt.Fprintf(stderr, "round %d of %d, after %v\n", round+1, rounds, time.Since(start).Round(time.Second))
		ran := make(map[string]bool)
		for _, b := range plan {
			if ran[b.Name] {
				continue
			}
			ran[b.Name] = true
			pattern := "^Benchmark" + strings.ReplaceAll(regexp.QuoteMeta(b.Name), "/", "$/^") + "$"
			cmd := exec.CommandContext(ctx, binaries[b.Package], "-test.run=^$", "-test.bench="+pattern,
				"-test.benchtime="+b.Time, "-test.timeout=5m", fmt.Sprint("-test.short=", b.Short))
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
	return found, nil
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
		r.CPU = strings.TrimSpace(result.GetConfig("cpu"))
		for _, value := range result.Values {
			key := [2]string{b.Name, value.Unit}
			r.Values[key] = append(r.Values[key], value.Value)
		}
	}
	if added != 1 {
		return fmt.Errorf("printed %d results of benchmarks, want 1", added)
	}
	return reader.Err()
}
