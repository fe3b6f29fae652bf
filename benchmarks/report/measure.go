package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/perf/benchfmt"

	"github.com/memstreamer/memstreamer/benchmarks"
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

// plan is what a round runs, in this order.
func plan() []benchmark {
	const (
		window = "1x" // the benchmark has a fixed size
		short  = "500ms"
	)
	var all []benchmark
	add := func(s suite, time string, names ...string) {
		for _, name := range names {
			all = append(all, benchmark{s, name, time})
		}
	}
	add(library, short,
		"Handoff/ours", "Handoff/plain", "Handoff/as", "Handoff/cond",
		"HandoffBesideIdle/0", "HandoffBesideIdle/100", "HandoffBesideIdle/10000",
		"HandoffBesideIdle/plain/0", "HandoffBesideIdle/plain/100", "HandoffBesideIdle/plain/10000",
		"Recv/ours", "Recv/plain",
		"Send/ours", "Send/plain", "Send/parallel",
		"SendFanout/1", "SendFanout/8", "SendFanout/64",
		"SparseTopic/1", "SparseTopic/1000",
		"Open",
	)
	add(library, window, "Retained/ours", "Retained/plain")
	for _, receivers := range parked {
		add(library, window, fmt.Sprintf("Idle/park/%d", receivers))
	}
	for _, receivers := range spinning {
		add(library, window, fmt.Sprintf("Idle/spin/%d", receivers))
	}
	// The bar for these is over two seconds.
	add(library, "4x", "Idle/park/0", "Idle/park/10000")
	for _, peer := range benchmarks.Peers {
		add(peers, short, "Handoff/"+peer.Name)
		add(peers, window, "Pass/1to1/"+peer.Name, "Pass/1to8/"+peer.Name, "Idle/"+peer.Name)
		if peer.Keeps {
			add(peers, window, "Retained/"+peer.Name)
		}
	}
	return all
}

// The receivers of Idle.
var (
	parked   = []int{1, 8, 100}
	spinning = []int{1, 2, 8, 100}
)

type measurement struct {
	plan      []benchmark
	rounds    int
	benchTime string // for all benchmarks, where it is set
	progress  *progress
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
		m.progress.say("building the benchmarks of the %s", s)
		binaries[s] = filepath.Join(tmp, string(s)+".test.exe") // the suffix is for Windows
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binaries[s], ".")
		cmd.Dir = dir
		if output, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the benchmarks of the %s: %w\n%s", s, err, output)
		}
	}

	found := newResults(m.rounds)
	for round := range m.rounds {
		for i, b := range m.plan {
			m.progress.step(round*len(m.plan)+i, m.rounds*len(m.plan), "round %d of %d: %s %s", round+1, m.rounds, b.suite, b.name)
			if m.benchTime != "" {
				b.time = m.benchTime
			}
			cmd := exec.CommandContext(ctx, binaries[b.suite],
				"-test.run=^$", "-test.bench="+b.pattern(), "-test.benchtime="+b.time, "-test.timeout=5m")
			cmd.Dir = tmp
			output, err := cmd.CombinedOutput()
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w\n%s", b.suite, b.name, err, output)
			}
			if err := found.add(b, output); err != nil {
				return nil, fmt.Errorf("%s %s: %w\n%s", b.suite, b.name, err, output)
			}
		}
	}
	m.progress.done()
	return found, nil
}

// pattern matches b alone.
func (b benchmark) pattern() string {
	return "^Benchmark" + strings.ReplaceAll(b.name, "/", "$/^") + "$"
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
