package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, command.Run(t.Context(), []string{"-quick"}, "", &out, &out))
	text := out.String()
	assert.Regexp(t, `\nREADME.md:\n\n\| a run of five steps on .*\n(\|.*\n){5}\nEight workflows .*\n8 runs`, text)
	assert.Regexp(t, `\n\| memstreamer +\| 1 of 1 return +\| both return for 1 of 1 runs \| 8 +\|\n`, text)
	assert.Regexp(t, `\n\| the engine's adapter +\| 0 of 1 return +\| both return for 0 of 1 runs \|`, text)
}

func TestFilesHaveTheSections(t *testing.T) { require.NoError(t, command.Check("../../..")) }

func TestVerdicts(t *testing.T) {
	r := report{&rounds.Results{Rounds: 3, Values: make(map[rounds.Figure]rounds.Sample)}, sized(false)}
	set := func(job, unit string, a int, values ...float64) {
		r.Values[rounds.Figure{of(job, benchmarks.Arrangements[a]), unit}] = values
	}
	for i := range benchmarks.Arrangements {
		for _, c := range columns {
			set(c.job, c.unit, i, 1, 1, 1)
		}
		set(await, late, i, 20, 19, 20)
		set(await, pairs, i, 3, 4, 5)
		set(named, names, i, 2008, 2008, 2008)
	}
	set(slow, mean, 0, 1, 2, 2)
	set(slow, mean, 2, 1e-3, 1e-3, 1e-3)
	set(slow, mean, 3, 0.9e-3, 0.8e-3, 0.7e-3) // by rounds 0.0009, 0.0004, 0.00035
	set(atOnce, rounds.CPU, 0, 2, 2, 2)
	set(idle, rounds.Cores, 3, 0.0001, 0.0003, 0.0009)
	assert.Equal(t, `| memstreamer, outbox parked | over                                | measured | goal       |        |
|---                         |---                                  |---:      |---:        |---     |
| mean at 20 a second        | the engine's adapter                | 0.00040× | ≤ 0.00100× | met    |
| mean at 20 a second        | the engine's adapter, outbox parked | 0.80×    | ≤ 0.80×    | met    |
| CPU of all at once         | the engine's adapter                | 0.50×    | ≤ 0.60×    | met    |
| CPU of all at once         | the engine's adapter, outbox parked | 1.00×    | ≤ 0.60×    | missed |
| idle, cores                |                                     | 0.0003   | ≤ 0.0003   | met    |
`, r.targets())
	assert.Contains(t, r.awaited(), "| memstreamer          | 20 of 20 return            | both return for 4 of 20 runs | 2008                     |")
	assert.Contains(t, r.table(false), "| memstreamer, outbox parked          | 800 µs ±12% ")
	assert.Contains(t, r.table(true), "| memstreamer, outbox parked          | 800 µs ")
}
