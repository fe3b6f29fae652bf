package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("before\n<!-- pubsub -->\nold\n<!-- /pubsub -->\nafter\n"), 0o600))
	require.NoError(t, run(config{rounds: 1, messages: 400}, readme))
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	require.NotContains(t, string(text), "old")
	require.Regexp(t, `^before\n<!-- pubsub -->\n\|`, string(text))
	require.Regexp(t, `Medians of 1 rounds.*\n<!-- /pubsub -->\nafter\n$`, string(text))
	lines := strings.Split(string(text), "\n")[2:]
	for i, p := range peers {
		require.Regexp(t, `^\| +`+p.title+` +\|`, strings.Replace(lines[i+2], "| ", "|  ", 1))
		require.Len(t, []rune(lines[i+2]), len([]rune(lines[0])), "the table is not aligned")
		require.Equal(t, p.title == blocking, strings.Contains(lines[i+2], "the publisher waits"), lines[i+2])
	}
	// One in flight, in order, and one goroutine: or a peer is not what it is said to be.
	require.Contains(t, lines[2], " 0% ")
	require.Contains(t, lines[2], " 100 |          1 |")
}

func TestBetweenNeedsBothMarks(t *testing.T) {
	_, err := between([]byte("text"), "table")
	require.ErrorContains(t, err, "there is no line")
	_, err = between([]byte(startMark), "table")
	require.ErrorContains(t, err, `there is no "<!-- /pubsub -->"`)
}

func TestVerdict(t *testing.T) {
	fast, slow := result{title: "memstreamer", pass: []cost{{1, 1}}, pingPong: []cost{{3, 3}}}, result{title: blocking, pass: []cost{{2, 2}}, pingPong: []cost{{2, 4}}}
	require.Equal(t, "Block takes less than memstreamer in: CPU, there and back (0.67×).\n", verdict([]result{fast, slow}))
	slow.pingPong = []cost{{9, 9}}
	require.Equal(t, "Block is nowhere the faster one.\n", verdict([]result{fast, slow}))
}
