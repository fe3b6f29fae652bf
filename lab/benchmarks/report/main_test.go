package main

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, command.Run(t.Context(), []string{"-quick"}, "", &out, &out))
	text := out.String()
	require.Regexp(t, `\| Go channels +(\| [\d.]+ .?s +){2}\| [\d.]+.?/s +\| keeps none +\|`, text)
	require.Regexp(t, `\| JetStream in process +(\| [\d.]+ .?s ±∞ \([\d,.]+×\) +){2}\|`, text)
	require.Regexp(t, `\| hand-off, there and back +\| JetStream in process, [\d.]+ .?s +(\| [\d.]+ .?s \([\d.]+×\) +){2}\| ≤ 0.060×`, text)
	require.Regexp(t, `\| worst single call.* +\| +\| +\| [\d.]+ .?s +\| ≤ 31.0 µs`, text)
}

func TestFilesHaveTheSections(t *testing.T) { require.NoError(t, command.Check("../../..")) }

func TestDraws(t *testing.T) {
	r := &rounds.Results{Values: make(map[[2]string]rounds.Sample)}
	for _, b := range command.Plan {
		r.Values[[2]string{b.Name, rounds.Cores}] = rounds.Sample{0.002}
	}
	svg := drawIdle(r)
	require.NoError(t, xml.Unmarshal([]byte(svg), new(struct{})))
	require.Contains(t, svg, "parked in memstreamer: 0.0020 cores for 10,000")
}
