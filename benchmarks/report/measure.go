package main

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

// suite is a package with benchmarks.
type suite string

const (
	library suite = "library"
	peers   suite = "peers"
)

// benchmark is one to run.
type benchmark struct {
	suite suite
	name  string // without the prefix Benchmark
	time  string // of -test.benchtime
}

func idleBench(receivers int, streamer string) string {
	return fmt.Sprintf("Idle/receivers=%d/streamer=%s", receivers, streamer)
}

type measurement struct {
	plan     []benchmark
	rounds   int
	quick    bool
	progress *progress
}

// run measures the suites, whose packages are in dirs.
func (m measurement) run(ctx context.Context, dirs map[suite]string) (*results, error) {
	tmp, err := os.MkdirTemp("", "memstreamer-report-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	binaries := make(map[suite]string)
	for s, dir := range dirs {
		m.progress.say(false, "building the benchmarks of the %s", s)
		binaries[s] = filepath.Join(tmp, string(s)+".test.exe") // the suffix is for Windows
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binaries[s], ".")
		cmd.Dir = dir
		if output, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the benchmarks of the %s: %w\n%s", s, err, output)
		}
	}

	found := newResults(m.rounds)
	found.quick = m.quick
	usual := usualRound
	if m.quick {
		usual = 20 * time.Second
	}
	m.progress.started = time.Now()
	for round := range m.rounds {
		for i, b := range m.plan {
			left := m.progress.left(round, m.rounds, float64(i)/float64(len(m.plan)), usual)
			m.progress.say(false, "round %d of %d, about %v left: %s", round+1, m.rounds, left, b.name)
			args := []string{"-test.run=^$", "-test.bench=" + b.pattern(), "-test.benchtime=" + b.time, "-test.timeout=5m"}
			if m.quick {
				args = append(args, "-test.benchtime=1x", "-test.short")
			}
			cmd := exec.CommandContext(ctx, binaries[b.suite], args...)
			cmd.Dir = tmp
			output, err := cmd.CombinedOutput()
			if err == nil {
				err = found.add(b, output)
			}
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w\n%s", b.suite, b.name, err, output)
			}
		}
		// Back and forth, so that what comes first does so only every other round.
		slices.Reverse(m.plan)
	}
	found.took = time.Since(m.progress.started).Round(time.Second)
	m.progress.say(true, "measured in %v", found.took)
	return found, nil
}

// pattern matches b alone.
func (b benchmark) pattern() string {
	return "^Benchmark" + strings.ReplaceAll(regexp.QuoteMeta(b.name), "/", "$/^") + "$"
}

// add reads what a run of b has printed.
func (r *results) add(b benchmark, output []byte) error {
	reader := benchfmt.NewReader(bytes.NewReader(output), b.name)
	added := 0
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		added++
		r.cpu = result.GetConfig("cpu")
		for _, value := range result.Values {
			key := figure{b.suite, b.name, value.Unit}
			r.values[key] = append(r.values[key], value.Value)
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
