package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// result is what a run leaves behind.
type result struct {
	status         int
	stdout, stderr string
}

// start runs the program without its idle part, unless args ask for it.
func start(t *testing.T, stdin io.Reader, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), append([]string{"-idle", "0"}, args...), stdin, &stdout, &stderr)
	return result{status, stdout.String(), messages(&stderr)}
}

// messages returns what was written without the lines of progress, of which a
// slow run has some.
func messages(stderr *bytes.Buffer) string {
	return regexp.MustCompile(`(?m)^\S+ orders delivered, .* a second\n`).ReplaceAllString(stderr.String(), "")
}

// row returns the cells of the table's row that starts with name.
func (r result) row(t *testing.T, name string) []string {
	t.Helper()
	for line := range strings.Lines(r.stdout) {
		if cells := strings.Fields(line); len(cells) > 0 && cells[0] == name {
			return cells
		}
	}
	require.Fail(t, "no such row", "%s in:\n%s", name, r.stdout)
	return nil
}

func (r result) number(t *testing.T, row string, cell int) int {
	t.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(r.row(t, row)[cell], ",", ""))
	require.NoError(t, err)
	return n
}

func lines(orders ...string) io.Reader {
	return strings.NewReader(strings.Join(orders, "\n"))
}

const (
	good1 = `{"id":"A","item":"kettle","quantity":1,"price_cents":250}`
	good2 = `{"id":"B","item":"kettle","quantity":2,"price_cents":250}`
)

func TestSampleRuns(t *testing.T) {
	sample := strings.Count(fulfilment.Sample, "\n")
	r := start(t, nil, "-repeat", "20", "-fail-every", "7", "-crash-every", "11")
	require.Equal(t, exitOK, r.status, r.stderr)
	assert.Empty(t, r.stderr)

	assert.Equal(t, 20*sample, r.number(t, "orders", 1))
	assert.Equal(t, 8*20*sample, r.number(t, "events", 1))
	for _, name := range fulfilment.Consumers() {
		assert.Equal(t, 20*sample, r.number(t, name, 1), name)
	}
	assert.Equal(t, 8*20*sample, r.number(t, "all", 1))
	const redelivered, failed, crashed = 4, 5, 6
	// One try in seven fails, so that seven tries make six steps done.
	assert.Equal(t, (7*20*sample-1)/6, r.number(t, "all", failed))
	assert.Equal(t, 7*20*sample/11, r.number(t, "all", crashed))
	assert.Equal(t, r.number(t, "all", failed)+r.number(t, "all", crashed), r.number(t, "all", redelivered))
	for _, cell := range r.row(t, "all")[2:4] {
		d, err := time.ParseDuration(cell)
		require.NoError(t, err)
		assert.Positive(t, d)
	}
}

func TestNoFaultsWithoutThem(t *testing.T) {
	r := start(t, nil, "-repeat", "1", "-fail-every", "0", "-crash-every", "0")
	require.Equal(t, exitOK, r.status, r.stderr)
	assert.Equal(t, []string{"0", "0", "0"}, r.row(t, "all")[4:])
}

func TestTableIsAligned(t *testing.T) {
	r := start(t, nil, "-repeat", "1")
	rows := strings.Split(r.stdout, "\n")[:10]
	for _, row := range rows {
		assert.Len(t, []rune(row), len(rows[0]), row)
	}
}

func TestIdle(t *testing.T) {
	var stdout, stderr bytes.Buffer
	args := []string{"-repeat", "1", "-idle", "100ms", "-spin"}
	require.Equal(t, exitOK, run(t.Context(), args, nil, &stdout, &stderr), stderr.String())
	percent := func(how string) float64 {
		found := regexp.MustCompile(`(?m)^idle, 8 receivers ` + how + `: (\d+\.\d)% CPU$`).FindStringSubmatch(stdout.String())
		require.NotNil(t, found, "%s in:\n%s", how, stdout.String())
		value, err := strconv.ParseFloat(found[1], 64)
		require.NoError(t, err)
		return value
	}
	assert.Less(t, percent("parked"), percent("polling"))
	assert.Less(t, percent("parked"), 50.0)
}

func TestBadLinesAreReportedAndSkipped(t *testing.T) {
	in := lines(good1, "", "what?", `{"id":"C","item":"kettle","quantity":0}`, good1, good2)
	r := start(t, in, "-in", "-", "-in-progress", "1")
	assert.Equal(t, exitOK, r.status)
	assert.Equal(t, `workflow: line 3: not JSON: invalid character 'w' looking for beginning of value: skipped
workflow: line 4: quantity must be 1 or more, not 0: skipped
workflow: line 5: "A": an order with this id was submitted before: skipped
`, r.stderr)
	assert.Equal(t, 2, r.number(t, "orders", 1))
	assert.Equal(t, 16, r.number(t, "all", 1))
	assert.Equal(t, 3, r.number(t, "lines", 1))
}

func TestStrictEndsAtTheFirstBadLine(t *testing.T) {
	for name, bad := range map[string]string{"not an order": "what?", "duplicate": good1} {
		t.Run(name, func(t *testing.T) {
			r := start(t, lines(good1, good2, bad, `{"id":"C","item":"kettle","quantity":1}`), "-in", "-", "-strict", "-idle", "1h")
			assert.Equal(t, exitFailed, r.status)
			assert.Regexp(t, `^workflow: line 3: .*: stopped there, as -strict asks\n$`, r.stderr)
			assert.Equal(t, 2, r.number(t, "orders", 1), "what was accepted is finished")
			assert.Equal(t, 16, r.number(t, "all", 1))
		})
	}
}

func TestFileIsRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "orders.jsonl")
	require.NoError(t, os.WriteFile(name, []byte(good1+"\n"+good2+"\n"), 0o600))
	r := start(t, nil, "-in", name)
	require.Equal(t, exitOK, r.status, r.stderr)
	assert.Equal(t, 2, r.number(t, "orders", 1))
}

func TestEmptyInput(t *testing.T) {
	r := start(t, lines(), "-in", "-")
	require.Equal(t, exitOK, r.status, r.stderr)
	assert.Equal(t, []string{"all", "0", "-", "-", "0", "0", "0"}, r.row(t, "all"))
}

func TestInputThatBreaksOffEndsTheRun(t *testing.T) {
	broken := errors.New("the cable is loose")
	r := start(t, io.MultiReader(lines(good1, good2, ""), iotest.ErrReader(broken)), "-in", "-", "-idle", "1h")
	assert.Equal(t, exitFailed, r.status)
	assert.Equal(t, "workflow: the cable is loose\n", r.stderr)
	assert.Equal(t, 2, r.number(t, "orders", 1), "what was accepted is finished")
}

func TestUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"orders.jsonl"}, `unexpected argument "orders.jsonl": orders are read from -in FILE`},
		{[]string{"-in", missing}, missing},
		{[]string{"-in", filepath.Dir(missing)}, "is a directory"},
		{[]string{"-in", "-", "-repeat", "2"}, "-repeat is for the embedded sample, not for -in"},
		{[]string{"-repeat", "0"}, "-repeat must be 1 or more, not 0"},
		{[]string{"-in-progress", "0"}, "-in-progress must be 1 or more, not 0"},
		{[]string{"-fail-every", "1"}, "-fail-every must be 0, or 2 or more, not 1: a step that always fails never ends"},
		{[]string{"-fail-every", "-2"}, "-fail-every must be 0, or 2 or more, not -2"},
		{[]string{"-crash-every", "-1"}, "-crash-every must be 0 or more, not -1"},
		{[]string{"-idle", "-1s"}, "-idle must be 0 or more, not -1s"},
		{[]string{"-spin"}, "-spin measures how a streamer idles, and -idle 0 leaves that out"},
		{[]string{"-nonsense"}, "flag provided but not defined: -nonsense"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			r := start(t, nil, test.args...)
			assert.Equal(t, exitUsage, r.status)
			assert.Empty(t, r.stdout)
			assert.Equal(t, 2, strings.Count(r.stderr, "\n"), r.stderr)
			assert.Contains(t, r.stderr, test.want)
		})
	}
}

func TestHelp(t *testing.T) {
	r := start(t, nil, "-h")
	assert.Equal(t, exitOK, r.status)
	assert.Empty(t, r.stderr)
	assert.Regexp(t, `^workflow runs orders (?s).*\n\nUsage: workflow \[flags\]\n.*-in FILE\n`, r.stdout)
}

func TestOutputThatCannotBeWrittenFailsTheRun(t *testing.T) {
	full := errors.New("no space left")
	for _, failing := range []string{"all", "idle"} {
		stdout := writerFunc(func(b []byte) (int, error) {
			if bytes.Contains(b, []byte(failing)) {
				return 0, full
			}
			return len(b), nil
		})
		var stderr bytes.Buffer
		assert.Equal(t, exitFailed, run(t.Context(), []string{"-repeat", "1", "-idle", "1ms"}, nil, stdout, &stderr))
		assert.Equal(t, "workflow: no space left\n", messages(&stderr))
	}
}

// The input hangs, as a terminal's does; the order accepted from it is finished.
func TestInterruptFinishesWhatWasAccepted(t *testing.T) {
	stdin, typed := io.Pipe()
	t.Cleanup(func() { typed.Close() })
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		_, _ = io.WriteString(typed, good1+"\n"+good2+"\n")
		// More is read once B was taken, which is after A was accepted.
		_, _ = io.WriteString(typed, "\n")
		interrupt()
	}()
	var stdout, stderr bytes.Buffer
	status := run(ctx, []string{"-in", "-"}, stdin, &stdout, &stderr)
	r := result{status, stdout.String(), messages(&stderr)}
	assert.Equal(t, exitInterrupted, r.status)
	assert.Equal(t, "workflow: interrupted: finishing what is in progress; interrupt again to stop at once\n", r.stderr)
	accepted := r.number(t, "orders", 1)
	assert.GreaterOrEqual(t, accepted, 1)
	assert.Equal(t, 8*accepted, r.number(t, "all", 1))
}

func TestInterruptEndsIdling(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	stdout := writerFunc(func(b []byte) (int, error) {
		interrupt() // the table is written, and idling begins
		return len(b), nil
	})
	assert.Equal(t, exitInterrupted, run(ctx, []string{"-repeat", "1", "-idle", "1h"}, nil, stdout, io.Discard))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
