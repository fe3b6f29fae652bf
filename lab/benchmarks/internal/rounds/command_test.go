package rounds

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// outbox measures what it costs to make an event, which takes no time.
var outbox = Command{
	Name:   "outbox",
	About:  "Outbox measures.",
	Rounds: 7,
	Plan: func(bool) []Benchmark {
		return []Benchmark{{Package: "github.com/memstreamer/memstreamer", Name: "Outbox", Time: "3x"}}
	},
	Outputs: []Output{{File: "README.md", Section: "x", Text: func(r *Results) string {
		return fmt.Sprintf("%d of %d, quick: %t\n", len(r.Of("Outbox", Seconds)), r.Rounds, r.Quick)
	}}},
}

func run(t *testing.T, root string, args ...string) (out string, err error) {
	var both strings.Builder
	err = outbox.Run(t.Context(), args, root, &both, &both)
	return both.String(), err
}

func TestCommandRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"not defined: -nosuch": {"-nosuch"},
		`"x" is none`:          {"x"},
		"-rounds is 0":         {"-rounds", "0"},
		"does not publish":     {"-quick", "-readme"},
		"has to run in lab/benchmarks: open nosuch/README.md": {"-readme"},
	} {
		out, err := run(t, "nosuch", args...)
		require.ErrorContains(t, err, want)
		require.Empty(t, out)
	}
	out, err := run(t, "", "-h")
	require.ErrorIs(t, err, flag.ErrHelp)
	require.Contains(t, out, "Usage: go run -C lab/benchmarks ./outbox [flags]\n")
	require.Contains(t, out, "write into README.md, and")
}

func TestCommandWrites(t *testing.T) {
	out, err := run(t, "", "-quick")
	require.NoError(t, err)
	require.Regexp(t, `^A quick run: .*\n\nREADME.md:\n\n1 of 1, quick: true\n\nMedians of 1 round, .*`, out)

	root := t.TempDir()
	file := filepath.Join(root, "README.md")
	require.NoError(t, os.WriteFile(file, []byte(Mark("x", "old\n")), 0o600))
	out, err = run(t, root, "-readme", "-rounds", "2")
	require.NoError(t, err)
	require.Empty(t, out)
	text, err := Section(file, "x")
	require.NoError(t, err)
	require.Regexp(t, `^2 of 2, quick: false\n\nMedians of 2 rounds, `, text)
}
