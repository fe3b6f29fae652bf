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
	require.Regexp(t, `\nlab/benchmarks/RESULTS.md:\n\n\| a run of five steps, shards of each .*\n(\|.*\n){7}\nEight workflows `, text)
	require.Regexp(t, `(?s)\n\| CPU +\| memory, 1, .*≤ 1.15× +\| .*\n\| mean +\| one file, 1, .*≤ 1.20×`, text)
}

func TestFilesHaveTheSections(t *testing.T) { require.NoError(t, command.Check("../../..")) }
