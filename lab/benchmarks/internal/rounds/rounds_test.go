package rounds

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	const library, send = "github.com/memstreamer/memstreamer", "Send/streamer=memstreamer+retention"
	found, err := Run(t.Context(), []Benchmark{{Package: library, Name: "Outbox", Time: "3x"}, {Package: library, Name: send, Time: "3x"}}, 2)
	require.NoError(t, err)
	assert.NotEmpty(t, found.CPU)
	for _, unit := range []string{Seconds, CPU} {
		least, _ := found.Of(send, unit).Bounds()
		assert.Positive(t, least, unit)
	}
	assert.Panics(t, func() { found.Of(send, Worst) })

	_, err = Run(t.Context(), []Benchmark{{Package: library, Name: "NoSuch", Time: "1x"}}, 1)
	require.ErrorContains(t, err, "printed 0 results of benchmarks")
	_, err = Run(t.Context(), []Benchmark{{Package: library + "/nosuch", Name: "NoSuch", Time: "1x"}}, 1)
	require.ErrorContains(t, err, "building the benchmarks of "+library+"/nosuch")
}

func TestSample(t *testing.T) {
	s := Sample{4, 1, 2}
	assert.Equal(t, 2.0, s.Median())
	assert.Equal(t, 0.75, s.Spread())
	assert.Equal(t, 3.0, Sample{4, 2, 1, 9}.Median())
	assert.Equal(t, Sample{2, 1, 4}, s.Over(Sample{2, 1, 0.5}))
	assert.Equal(t, Sample{4, 1, 2}, s, "is as it was")
}

func TestFiguresAreForPeople(t *testing.T) {
	for _, test := range []struct {
		unit string
		v    float64
		want string
	}{
		{Seconds, 950e-9, "950 ns"},
		{Seconds, 1.2e-6, "1.20 µs"},
		{Seconds, 12.34e-3, "12.3 ms"},
		{Worst, 2, "2.00 s"},
		{Cores, 0.00041, "0.0004"},
		{Cores, 1.968, "1.97"},
		{BytesEach, 155, "155 B"},
		{EventRate, 321_472, "321k/s"},
	} {
		assert.Equal(t, test.want, Show(test.unit, test.v))
	}
	for ratio, want := range map[float64]string{0.0312: "0.031×", 0.331: "0.33×", 1.05: "1.05×", 12.4: "12×", 1234.4: "1,234×"} {
		assert.Equal(t, want, Times(ratio))
	}
}

func TestLeft(t *testing.T) {
	assert.Empty(t, left(0, 0, 7))
	assert.Equal(t, ", about 5m30s left", left(90*time.Second, 3, 14))
}

func TestTable(t *testing.T) {
	assert.Equal(t, strings.Join([]string{
		"| what | µ       |",
		"|---   |---:     |",
		"| x    | 1.00 µs |",
		"",
	}, "\n"), Table([][]string{{"what", " µ"}, {"x", "1.00 µs"}}))
}

func TestSection(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(file, []byte("a\n"+Mark("x", "old\n")+"\nb\n"), 0o644))
	section, err := Section(file, "x")
	require.NoError(t, err)
	assert.Equal(t, "old\n", section)
	require.NoError(t, SetSection(file, "x", "new\n"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n", string(text))

	require.ErrorContains(t, SetSection(file, "y", ""), "README.md has no line <!-- y --> with a <!-- /y --> after it")
	_, err = Section(file+"x", "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}
