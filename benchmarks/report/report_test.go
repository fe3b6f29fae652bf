package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeasures(t *testing.T) {
	root, err := moduleDir(t.Context(), "github.com/memstreamer/memstreamer")
	require.NoError(t, err)
	m := measurement{rounds: 2, progress: newProgress(os.Stderr)}

	m.plan = []benchmark{{library, "Open", "3x"}, {library, "Send/ours", "3x"}}
	found, err := m.run(t.Context(), map[suite]string{library: root})
	require.NoError(t, err)
	assert.NotEmpty(t, found.cpu)
	for _, b := range m.plan {
		for _, unit := range []string{seconds, bytesPerOp, allocs} {
			assert.Positive(t, found.of(library, b.name, unit).min(), "%s %s", b.name, unit)
		}
	}

	m.plan = []benchmark{{library, "NoSuch", "1x"}}
	_, err = m.run(t.Context(), map[suite]string{library: root})
	require.ErrorContains(t, err, "printed 0 results of benchmarks")
}

// invented has values of all figures of the plan, the same for the same unit
// but for those given.
func invented(given map[figure]sample) *results {
	r := newResults(3)
	r.cpu = "A processor"
	for _, b := range plan() {
		for _, unit := range []string{seconds, bytesPerOp, allocs, cores, bytesEach, eventRate} {
			key := figure{b.suite, b.name, unit}
			r.values[key] = sample{9e-6, 10e-6, 12e-6}
			if values, ok := given[key]; ok {
				r.values[key] = values
			}
		}
	}
	return r
}

func TestVerdicts(t *testing.T) {
	r := invented(map[figure]sample{
		{library, "Handoff/as", seconds}:      {18e-6, 10e-6, 12e-6}, // 2, 1 and 1 times
		{library, "Recv/ours", seconds}:       {3e-6, 4e-6, 9e-6},
		{peers, "Handoff/jetstream", seconds}: {1, 1, 1},
	})
	text := markdown(r)
	assert.Contains(t, text, "| hand-off through As | direct, 10.0 µs | 12.0 µs | 1.00× ±50% | 1.05× | met |")
	assert.Contains(t, text, "| Recv and Ack of a backlog | plain parking, 10.0 µs | 4.00 µs | 0.40× ±52% | 0.40× | met |")
	assert.Contains(t, text, "| hand-off | plain parking, 10.0 µs | 10.0 µs | 1.00× ±0% | 0.90× | missed |")
	assert.Contains(t, text, "| hand-off | NATS JetStream, in process, 1.00 s | 10.0 µs | 0.000× ±15% | 0.050× | met |")
	assert.Contains(t, text, "| CPU of 10,000 parked receivers | none, 0.0000 cores | 0.0000 cores |  | 0.001 cores | met |")
	assert.Contains(t, text, "A processor, ")
}

func TestTableNamesEachPeersVersion(t *testing.T) {
	// A test's build information has no dependencies.
	assert.Contains(t, peersTable(invented(nil)), "<br>watermill ")
	assert.Contains(t, peersTable(invented(nil)), "<br>nats-server ")
}

func TestSample(t *testing.T) {
	s := sample{4, 1, 2}
	assert.Equal(t, 2.0, s.median())
	assert.Equal(t, 0.75, s.spread())
	assert.Equal(t, 3.0, sample{4, 2, 1, 9}.median())
	assert.Equal(t, sample{2, 1, 4}, s.over(sample{2, 1, 0.5}))
	assert.Equal(t, sample{4, 1, 2}, s, "is as it was")
}

func TestFiguresAreForPeople(t *testing.T) {
	assert.Equal(t, []string{"950 ns", "1.20 µs", "12.3 ms", "2.00 s"},
		[]string{duration(950e-9), duration(1.2e-6), duration(12.34e-3), duration(2)})
	assert.Equal(t, []string{"0.0004", "1.97"}, []string{coresUsed(0.00041), coresUsed(1.968)})
	assert.Equal(t, []string{"0.031×", "0.33×", "1.05×", "12×", "1,234×"},
		[]string{times(0.0312), times(0.331), times(1.05), times(12.4), times(1234.4)})
	assert.Equal(t, "321k/s", rate(321_472))
}

func TestDraws(t *testing.T) {
	given := make(map[figure]sample)
	for i, b := range plan() {
		given[figure{b.suite, b.name, seconds}] = sample{float64(i+1) * 1e-6, float64(i+1) * 2e-6, float64(i+1) * 3e-6}
	}
	dir := t.TempDir()
	require.NoError(t, write(dir, invented(given)))
	for name, words := range map[string][]string{
		"results.svg": {"memstreamer", "NATS JetStream, in process"},
		"idle.svg":    {"parked in memstreamer: 0.0000 cores for 10,000", "polling"},
	} {
		svg, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		var root struct {
			XMLName xml.Name
		}
		require.NoError(t, xml.Unmarshal(svg, &root))
		assert.Equal(t, "svg", root.XMLName.Local)
		for _, word := range words {
			assert.Contains(t, string(svg), word, name)
		}
	}
}

func TestDecades(t *testing.T) {
	var names []string
	for _, tick := range decades(tickTime).Ticks(5e-7, 2e-3) {
		names = append(names, tick.Label)
	}
	assert.Equal(t, []string{"1 µs", "10 µs", "100 µs", "1 ms"}, names)
}

func TestCopyTable(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	from := file("from", "x"+tableStart+"\nnew\n"+tableEnd+"y")
	to := file("to", "a"+tableStart+"\nold\n"+tableEnd+"b")
	require.NoError(t, copyTable(from, to))
	copied, err := os.ReadFile(to)
	require.NoError(t, err)
	assert.Equal(t, "a"+tableStart+"\nnew\n"+tableEnd+"b", string(copied))

	unmarked := file("unmarked", "text")
	require.ErrorContains(t, copyTable(from, unmarked), "unmarked has no "+tableStart)
	require.ErrorContains(t, copyTable(unmarked, to), "unmarked has no "+tableStart)
	require.ErrorIs(t, copyTable(filepath.Join(dir, "none"), to), os.ErrNotExist)
}

func TestBadFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"-reps is -1":      {"-reps", "-1"},
		`not "results.md"`: {"results.md"},
	} {
		require.ErrorContains(t, report(t.Context(), args), want)
	}
}

func TestPlanHasNothingTwice(t *testing.T) {
	var names []string
	for _, b := range plan() {
		names = append(names, string(b.suite)+" "+b.name)
	}
	slices.Sort(names)
	assert.Equal(t, slices.Compact(slices.Clone(names)), names)
}
