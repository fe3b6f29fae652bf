package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, command.Run(t.Context(), []string{"-quick"}, "", &out, &out))
	require.Regexp(t, `\nwatermill/README.md:\n\n(\|.*\n)+\nBlock .*\.\n\nMedians of 1 round, `, out.String())
	rows := strings.Split(out.String(), "\n")[6:]
	for i, p := range benchmarks.PubSubs {
		require.Regexp(t, `^\| `+p.Title+` +\|`, rows[i])
		require.Equal(t, p.Title == "GoChannel, Block", strings.Contains(rows[i], "the publisher waits"), rows[i])
	}
	// In order, all published, and one goroutine: or a peer is not what it is said to be.
	require.Regexp(t, `\| 0% .*\| 100 +\| 1 +\|`, rows[0])
}

func TestFilesHaveTheSections(t *testing.T) { require.NoError(t, command.Check("../../..")) }

func TestVerdict(t *testing.T) {
	r := &rounds.Results{Rounds: 1, Values: make(map[rounds.Figure]rounds.Sample)}
	for _, p := range benchmarks.PubSubs {
		for _, c := range columns {
			r.Values[rounds.Figure{of(c.job, p), c.unit}] = rounds.Sample{3e-6}
		}
	}
	require.Contains(t, markdown(r), "\nBlock is nowhere the faster one.\n")
	block := benchmarks.PubSubs[len(benchmarks.PubSubs)-1]
	r.Values[rounds.Figure{of(handoff, block), rounds.CPU}] = rounds.Sample{2e-6}
	r.Values[rounds.Figure{of(pass, block), rounds.Seconds}] = rounds.Sample{4e-6}
	require.Contains(t, markdown(r), "\nBlock takes less than memstreamer in: CPU, there and back (0.67×).\n")
}
