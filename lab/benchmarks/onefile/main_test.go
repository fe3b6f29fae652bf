package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, command.Run(t.Context(), []string{"-quick"}, "", &out, &out))
	text := out.String()
	require.Regexp(t, `\nlab/benchmarks/RESULTS.md:\n\n\| a run of five steps on .*\n(\|.*\n){6}\nEight workflows `, text)
	require.Regexp(t, `\n\| idle, cores +\| +\| [\d.]+ +\| ≤ 0.0002 +\| (met|missed) +\|\n`, text)
}

func TestFilesHaveTheSections(t *testing.T) { require.NoError(t, command.Check("../../..")) }
