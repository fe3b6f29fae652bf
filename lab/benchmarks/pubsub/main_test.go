package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, command.Run(t.Context(), []string{"-quick"}, "", &out, &out))
	require.Regexp(t, `\nwatermill/README.md:\n\n(\|.*\n)+\nGoChannel with Block .*\.\n\nMedians of 1 round, `, out.String())
	_, table, _ := strings.Cut(out.String(), "|---")
	rows := strings.Split(table, "\n")[1:]
	for i, p := range benchmarks.PubSubs {
		require.Regexp(t, `^\| `+p.Title+` +\|`, rows[i])
		require.Equal(t, p.Title == "GoChannel, Block", strings.Contains(rows[i], "| 0 "), rows[i])
	}
	// In order, published, and one goroutine: or a peer is not what it is said to be.
	require.Regexp(t, `\| 0% .*\| 1 +\| 1 +\|`, rows[0])
}

func TestFilesHaveTheSections(t *testing.T) { require.NoError(t, command.Check("../../..")) }
