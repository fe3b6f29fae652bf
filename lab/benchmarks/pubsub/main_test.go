package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func TestRun(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(readme, []byte(rounds.Mark(section, "old\n")), 0o600))
	require.NoError(t, config{rounds: 1, messages: 400, readme: readme}.run(t.Context()))
	table, err := rounds.Section(readme, section)
	require.NoError(t, err)
	require.Regexp(t, `^(\|.*\n)+\nBlock .*\.\n\nMedians of 1 round, .*\n$`, table)
	rows := strings.Split(table, "\n")[2:]
	for i, p := range benchmarks.PubSubs {
		require.Regexp(t, `^\| `+p.Title+` +\|`, rows[i])
		require.Equal(t, p.Title == "GoChannel, Block", strings.Contains(rows[i], "the publisher waits"), rows[i])
	}
	// In order, all published, and one goroutine: or a peer is not what it is said to be.
	require.Regexp(t, `\| 0% .*\| 100 +\| 1 +\|`, rows[0])

	require.ErrorContains(t, config{readme: "main.go"}.run(t.Context()), "main.go has no line")
}

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
