package main

import (
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

// invented has values of all figures of the plan, the same for all but for those
// given.
func invented(given map[rounds.Figure]rounds.Sample) report {
	r := report{Results: &rounds.Results{Rounds: 3, CPU: "A processor", Values: given}}
	for _, b := range plan() {
		for _, unit := range []string{rounds.Seconds, rounds.CPU, rounds.Worst, rounds.Cores, rounds.BytesEach, rounds.EventRate} {
			if figure := (rounds.Figure{b.Name, unit}); given[figure] == nil {
				given[figure] = rounds.Sample{9e-6, 10e-6, 12e-6}
			}
		}
	}
	return r
}

// unaligned returns text with one space where there are more.
func unaligned(text string) string { return regexp.MustCompile(" +").ReplaceAllString(text, " ") }

func TestVerdicts(t *testing.T) {
	text := invented(map[rounds.Figure]rounds.Sample{
		{"Recv/streamer=memstreamer", rounds.CPU}:                             {3e-6, 5e-6, 9e-6},
		{"Recv/streamer=memstreamer+retention", rounds.CPU}:                   {3e-6, 6e-6, 9e-6},
		{"Pass/receivers=1/streamer=memstreamer", rounds.EventRate}:           {6e5, 8e5, 1e6},
		{"Pass/receivers=1/streamer=memstreamer+retention", rounds.EventRate}: {6e5, 7e5, 1e6},
		{"Pass/receivers=1/streamer=polling", rounds.EventRate}:               {1e6, 7e5, 1e6},
		{"Handoff/peer=jetstream", rounds.Seconds}:                            {1, 1, 1},
		{"Pass/receivers=8/streamer=polling", rounds.EventRate}:               {1, 1, 1},
		{"Sweep", rounds.Worst}:                                               {31e-6, 31e-6, 31e-6},
	}).markdown()
	for _, row := range []string{
		"| CPU of Send | luno/workflow v0.5.0, 10.0 µs | 10.0 µs | 1.00× ±0% | 1.00× | ≤ 0.85× | missed |",
		"| CPU of Recv and Ack | luno/workflow v0.5.0, 10.0 µs | 5.00 µs | 0.50× ±42% | 0.60× | ≤ 0.50× | missed with retention |",
		"| events a second, 1 → 1 | polling, 1.00M/s | 800k/s | 1.00× ±27% | 1.00× | ≥ 1.00× | met |",
		"| hand-off | JetStream in process, 1.00 s | 10.0 µs | 0.000× ±15% | | ≤ 0.060× | met |",
		"| cores of 10,000 parked receivers | | 0.0000 | | 0.0000 | ≤ 0.0010 | met |",
		"| worst single call, 1,000,000 events expired | | | | 31.0 µs | ≤ 31.0 µs | met |",
	} {
		assert.Contains(t, unaligned(text), row)
	}
	assert.Contains(t, text, "- events a second, 1 → 8, missed: most of")
	assert.Contains(t, text, "A processor, ")
	// A test's build information has no dependencies.
	assert.Contains(t, text, "- Watermill GoChannel (watermill ")
	assert.NotContains(t, text, quickNote)
}

// What the command engine has written is kept.
func TestKeepsTheSectionOfTheEngine(t *testing.T) {
	r := invented(map[rounds.Figure]rounds.Sample{})
	r.engine = "| measured |\n"
	assert.Contains(t, r.markdown(), "\n<!-- engine -->\n| measured |\n<!-- /engine -->\n\n## The project's own targets\n")
}

func TestQuickRunsSaySo(t *testing.T) {
	r := invented(map[rounds.Figure]rounds.Sample{})
	r.quick = true
	assert.Regexp(t, `\A# Results\n\n\*\*`+quickNote, r.markdown())
}

func TestSummaryExplainsEachPeer(t *testing.T) {
	text := invented(map[rounds.Figure]rounds.Sample{
		{"Pass/receivers=1/peer=workflow", rounds.EventRate}: {4e5, 4e5, 4e5},
		{"Retained/peer=workflow", rounds.BytesEach}:         {491, 491, 491},
	}).peers(true)
	assert.Contains(t, unaligned(text), "| luno/workflow v0.5.0 | 10.0 µs | 10.0 µs | 400k/s | 491 B |\n")
	assert.Contains(t, unaligned(text), " | keeps none |\n")
	assert.Contains(t, text, "\n- luno/workflow v0.5.0: the engine's own in-memory adapter: one cond for all topics, ")
	assert.NotContains(t, text, "Persistent")
}

func TestDraws(t *testing.T) {
	given := make(map[rounds.Figure]rounds.Sample)
	for i, b := range plan() {
		n := float64(i + 1)
		given[rounds.Figure{b.Name, rounds.Seconds}] = rounds.Sample{n * 1e-6, n * 2e-6, n * 3e-6}
	}
	dir := t.TempDir()
	require.NoError(t, invented(given).write(dir))
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
	x := p.logAxis(0, 100, 10, 1e-6, 1e-2, rounds.Tick)
	assert.InDeltaSlice(t, []float64{0, 50, 100}, []float64{x(1e-6), x(1e-4), x(1e-2)}, 1e-9)
	for _, tick := range []string{">1 µs<", ">10 µs<", ">100 µs<", ">1 ms<", ">10 ms<"} {
		assert.Contains(t, p.String(), tick)
	}
}

func TestReadmeShowsTheResults(t *testing.T) {
	var tables []string
	for _, file := range []string{"../RESULTS.md", "../../../README.md"} {
		table, err := rounds.Section(file, section)
		require.NoError(t, err)
		tables = append(tables, table)
	}
	require.NotEmpty(t, tables[0])
	assert.Equal(t, tables[0], tables[1],
		"the README's table is not that of RESULTS.md: go run -C lab/benchmarks ./report -reps 0 -readme copies it")
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

func TestPublishesFromItsModuleOnly(t *testing.T) {
	t.Chdir(t.TempDir())
	require.ErrorContains(t, config{reps: 1, readme: true}.run(t.Context()), "run in lab/benchmarks: open ../../README.md: ")
}

func TestPlanHasNothingTwice(t *testing.T) {
	var names []string
	for _, b := range plan() {
		names = append(names, b.Name)
	}
	slices.Sort(names)
	assert.Equal(t, slices.Compact(slices.Clone(names)), names)
}
