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
	require.Regexp(t, `\nREADME.md:\n\n\| a run of five steps on .*\n(\|.*\n){5}\nEight workflows `, text)
	require.Regexp(t, `\n\| idle, cores +\| +\| [\d.]+ +\| ≤ 0.0003 +\| (met|missed) +\|\n`, text)
}

func TestFilesHaveTheSections(t *testing.T) { require.NoError(t, command.Check("../../..")) }

func TestDraws(t *testing.T) {
	r := &rounds.Results{Values: make(map[[2]string]rounds.Sample)}
	for _, p := range peers {
		r.Values[[2]string{at20 + p.Name, mean}] = rounds.Sample{0.0005}
	}
	svg := draw(r)
	require.NoError(t, xml.Unmarshal([]byte(svg), new(struct{})))
	require.Contains(t, svg, "500 µs")
}
