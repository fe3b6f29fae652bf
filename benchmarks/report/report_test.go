package main

import (
	"encoding/xml"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeasures(t *testing.T) {
	root, err := moduleDir(t.Context(), "github.com/memstreamer/memstreamer")
	require.NoError(t, err)
	send := benchmark{library, "Send/streamer=memstreamer+retention", "3x"}
	m := measurement{rounds: 2, progress: newProgress(os.Stderr), plan: []benchmark{{library, "Outbox", "3x"}, send}}
	found, err := m.run(t.Context(), map[suite]string{library: root})
	require.NoError(t, err)
	assert.NotEmpty(t, found.cpu)
	for _, unit := range []string{seconds, cpu} {
		assert.Positive(t, found.of(library, send.name, unit).min(), unit)
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
		for _, unit := range []string{seconds, cpu, worst, cores, bytesEach, eventRate} {
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
	text := markdown(invented(map[figure]sample{
		{library, "Recv/streamer=memstreamer", cpu}:                             {3e-6, 5e-6, 9e-6},
		{library, "Recv/streamer=memstreamer+retention", cpu}:                   {3e-6, 6e-6, 9e-6},
		{library, "Pass/receivers=1/streamer=memstreamer", eventRate}:           {6e5, 8e5, 1e6},
		{library, "Pass/receivers=1/streamer=memstreamer+retention", eventRate}: {6e5, 7e5, 1e6},
		{library, "Pass/receivers=1/streamer=polling", eventRate}:               {1e6, 7e5, 1e6},
		{peers, "Handoff/peer=jetstream", seconds}:                              {1, 1, 1},
		{library, "Pass/receivers=8/streamer=polling", eventRate}:               {1, 1, 1},
		{library, "Sweep", worst}:                                               {31e-6, 31e-6, 31e-6},
	}))
	for _, row := range []string{
		"| CPU of Send | plain parking, 10.0 µs | 10.0 µs | 1.00× ±0% | 1.00× | ≤ 0.85× | missed |",
		"| CPU of Recv and Ack | plain parking, 10.0 µs | 5.00 µs | 0.50× ±42% | 0.60× | ≤ 0.50× | missed with retention |",
		"| events a second, 1 → 1 | polling, 1.00M/s | 800k/s | 1.00× ±27% | 1.00× | ≥ 1.00× | met |",
		"| hand-off | JetStream in process, 1.00 s | 10.0 µs | 0.000× ±15% |  | ≤ 0.060× | met |",
		"| cores of 10,000 parked receivers |  | 0.0000 |  | 0.0000 | ≤ 0.0010 | met |",
		"| worst single call, 1,000,000 events expired |  |  |  | 31.0 µs | ≤ 31.0 µs | met |",
	} {
		assert.Contains(t, text, row)
	}
	assert.Contains(t, text, "- events a second, 1 → 8, missed: most of")
	assert.Contains(t, text, "A processor, ")
	// A test's build information has no dependencies.
	assert.Contains(t, text, "- Watermill GoChannel (watermill ")
	assert.NotContains(t, text, quickNote)
}

func TestQuickRunsSaySo(t *testing.T) {
	r := invented(nil)
	r.quick = true
	assert.Regexp(t, `\A# Results\n\n\*\*`+quickNote, markdown(r))
}

func TestSummaryExplainsEachPeer(t *testing.T) {
	text := summary(invented(map[figure]sample{
		{peers, "Pass/receivers=1/peer=parking", eventRate}: {4e5, 4e5, 4e5},
		{peers, "Retained/peer=parking", bytesEach}:         {491, 491, 491},
	}))
	assert.Contains(t, text, "| plain parking | 10.0 µs | 10.0 µs | 400k/s | 491 B |\n")
	assert.Contains(t, text, " | keeps none |\n")
	assert.Contains(t, text, "\n- plain parking: one cond, a goroutine a Recv, the sender's map shared: what the simplest fix is\n")
	assert.NotContains(t, text, "Persistent")
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
	assert.Equal(t, "321k/s", show(eventRate, 321_472))
}

func TestDraws(t *testing.T) {
	given := make(map[figure]sample)
	for i, b := range plan() {
		given[figure{b.suite, b.name, seconds}] = sample{float64(i+1) * 1e-6, float64(i+1) * 2e-6, float64(i+1) * 3e-6}
	}
	dir := t.TempDir()
	require.NoError(t, write(dir, invented(given)))
	for name, words := range map[string][]string{
		"results.svg": {"memstreamer", "JetStream in process", "lower is better"},
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

func TestTicks(t *testing.T) {
	p := new(picture)
	x := p.logAxis(0, 100, 10, 1e-6, 1e-2, tickTime)
	assert.Equal(t, []float64{0, 50, 100}, []float64{x(1e-6), math.Round(x(1e-4)), math.Round(x(1e-2))})
	for _, tick := range []string{">1 µs<", ">10 µs<", ">100 µs<", ">1 ms<", ">10 ms<"} {
		assert.Contains(t, p.String(), tick)
	}
}

func TestLeft(t *testing.T) {
	p := &progress{started: time.Now().Add(-90 * time.Second)}
	assert.Equal(t, 6*time.Minute+30*time.Second, p.left(0, 7, 0.5, time.Minute), "as usual")
	assert.Equal(t, 5*time.Minute+30*time.Second, p.left(1, 7, 0.5, time.Hour), "as the first round and a half")
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

func TestReadmeShowsTheResults(t *testing.T) {
	var tables []string
	for _, file := range []string{"../RESULTS.md", "../../README.md"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		tables = append(tables, string(shortTable.Find(text)))
	}
	require.NotEmpty(t, tables[0])
	assert.Equal(t, tables[0], tables[1],
		"the README's table is not that of RESULTS.md: go run -C benchmarks ./report -reps 0 -readme copies it")
}

func TestFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"-reps is -1":          {"-reps", "-1"},
		"not \"results.md\"":   {"results.md"},
		"without -readme":      {"-reps", "0"},
		"does not publish":     {"-quick", "-readme"},
		"leave out -o":         {"-readme", "-o", "x"},
		"not defined: -nosuch": {"-nosuch"},
	} {
		var said strings.Builder
		_, err := parse(args, &said)
		require.Error(t, err)
		require.NotErrorIs(t, err, flag.ErrHelp)
		require.Contains(t, said.String(), want)
	}
	var said strings.Builder
	_, err := parse([]string{"-h"}, &said)
	require.ErrorIs(t, err, flag.ErrHelp)
	require.Regexp(t, `^Report measures`, said.String())
	require.NotContains(t, said.String(), os.Args[0])
}

func TestPlanHasNothingTwice(t *testing.T) {
	var names []string
	for _, b := range plan() {
		names = append(names, string(b.suite)+" "+b.name)
	}
	slices.Sort(names)
	assert.Equal(t, slices.Compact(slices.Clone(names)), names)
}
