package rounds

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
)

// outbox measures what it costs to make an event, which takes no time.
var outbox = Command{
	Name:   "outbox",
	About:  "Outbox measures.",
	Rounds: 7,
	Plan:   []Benchmark{{Package: Root, Name: "Outbox", Time: "3x"}, {Package: Root, Name: "Outbox", Time: "3x"}},
	Outputs: []Output{{File: "README.md", Section: "x", Text: func(r *Results) string {
		return fmt.Sprintf("%d of %d\n", len(r.Values[[2]string{"Outbox", Seconds}]), r.Rounds)
	}}, {File: "x.svg", Text: func(*Results) string { return "a picture" }}},
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
	require.Contains(t, out, "write into README.md, x.svg, and")
}

func TestCommandWrites(t *testing.T) {
	out, err := run(t, "", "-quick")
	require.NoError(t, err)
	require.Regexp(t, `^A quick run: .*\n\nround 1 of 1, after 0s\nREADME.md:\n\n1 of 1\n\nMedians of 1 round, [^<]*$`, out)

	root := t.TempDir()
	file := filepath.Join(root, "README.md")
	require.NoError(t, os.WriteFile(file, []byte("a\n<!-- x -->\nold\n<!-- /x -->\nb\n"), 0o600))
	_, err = run(t, root, "-readme", "-reps", "2")
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Regexp(t, `^a\n<!-- x -->\n2 of 2\n\nMedians of 2 rounds, .*\n.*\n<!-- /x -->\nb\n$`, string(text))
	picture, err := os.ReadFile(filepath.Join(root, "x.svg"))
	require.NoError(t, err)
	require.Equal(t, "a picture", string(picture))

	require.NoError(t, os.WriteFile(file, []byte("no marks"), 0o600))
	_, err = run(t, root, "-readme")
	require.ErrorContains(t, err, "README.md has no line <!-- x --> with a <!-- /x --> after it")
}

func TestRunFails(t *testing.T) {
	_, err := Run(t.Context(), []Benchmark{{Package: Root, Name: "NoSuch", Time: "1x"}}, 1, os.Stderr)
	require.ErrorContains(t, err, "printed 0 results of benchmarks")
	_, err = Run(t.Context(), []Benchmark{{Package: Root + "/nosuch", Name: "NoSuch", Time: "1x"}}, 1, os.Stderr)
	require.ErrorContains(t, err, "building the benchmarks of "+Root+"/nosuch")
}

func TestTables(t *testing.T) {
	a, b, c := benchmarks.Peer{Name: "a", Title: "A"}, benchmarks.Peer{Name: "b", Title: "B"}, benchmarks.Peer{Name: "c", Title: "C"}
	time := Figure{Head: "time", Job: "Job/", Unit: Seconds}
	rate := Figure{Head: "rate", Job: "Job/", Unit: EventRate}
	cores := Figure{Head: "cores", Job: "Job/", Unit: Cores}
	r := &Results{Values: map[[2]string]Sample{
		{"Job/a", Seconds}:   {4e-6, 1e-6, 2e-6},
		{"Job/b", Seconds}:   {2e-6, 1e-6, 1e-6}, // by rounds 0.5, 1 and 0.5
		{"Job/a", EventRate}: {321_472, 321_472, 321_472},
		{"Job/b", EventRate}: {1e9, 1e9, 1e9},
		{"Job/a", Cores}:     {1.968, 1.968, 1.968},
		{"Job/b", Cores}:     {0.00041, 0.00041, 0.00041},
	}}
	require.Equal(t, `| peer | time                  | rate                 | cores      |
|---   |---:                   |---:                  |---:        |
| A    | 2.00 µs ±100%         | 321k/s ±0%           | 1.9680 ±0% |
| B    | 1.00 µs ±100% (0.50×) | 1.00G/s ±0% (3,111×) | 0.0004 ±0% |
| C    | nothing               | nothing              | nothing    |
`, Table{Corner: "peer", Figures: []Figure{time, rate, cores}, Peers: []benchmarks.Peer{a, b, c}, Interval: true, Ratio: true,
		Instead: func(_ Figure, p benchmarks.Peer) string {
			if p.Name == "c" {
				return "nothing"
			}
			return ""
		}}.Markdown(r))

	require.Equal(t, `| what  | to         | A                 | C   | goal     |        |
|---    |---         |---:               |---: |---:      |---     |
| time  | B, 1.00 µs | 2.00 µs (2.00×)   |     | ≤ 2.00×  | met    |
| rate  | B, 1.00G/s | 321k/s (0.00032×) |     | ≥ 0.50×  | missed |
| cores |            | 1.9680            |     | ≤ 2.0000 | met    |
| cores |            | 1.9680            |     | ≤ 1.9000 | missed |

- rate, missed: of that.
`, r.Goals([]Goal{
		{Figure: time, Over: b, Bar: 2, Why: "not said"},
		{Figure: rate, Over: b, Bar: 0.5, Why: "of that"},
		{Figure: cores, Bar: 2},
		{Figure: cores, Bar: 1.9},
	}, a, c))
}

func TestShow(t *testing.T) {
	for want, got := range map[string]string{
		"950 ns": Show(Seconds, 950e-9), "12.3 ms": Show(CPU, 12.34e-3), "2.00 s": Show(Worst, 2),
		"155 B": Show(BytesEach, 155), "98%": Show(Late, 0.98), "2,008": Show("names", 2008),
		"0.031×": Times(0.0312), "12×": Times(12.4),
	} {
		require.Equal(t, want, got)
	}
}
