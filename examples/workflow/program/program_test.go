package program

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

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/internal/cli"
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
	status := Workflow.Run(t.Context(), append([]string{"-idle", "0"}, args...), stdin, &stdout, &stderr)
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

func lines(orders ...string) io.Reader { return strings.NewReader(strings.Join(orders, "\n")) }

const (
	good1 = `{"id":"A","item":"kettle","quantity":1,"price_cents":250}`
	good2 = `{"id":"B","item":"kettle","quantity":2,"price_cents":250}`
)

func TestSampleRuns(t *testing.T) {
	sample := strings.Count(Sample, "\n")
	r := start(t, nil, "-repeat", "20", "-fail-every", "7", "-crash-every", "11")
	require.Equal(t, cli.OK, r.status, r.stderr)
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
	rows := strings.Split(r.stdout, "\n")[:10]
	for _, row := range rows {
		assert.Len(t, []rune(row), len(rows[0]), "aligned: %s", row)
	}
}

func TestNoFaultsWithoutThem(t *testing.T) {
	r := start(t, nil, "-repeat", "1", "-fail-every", "0", "-crash-every", "0")
	require.Equal(t, cli.OK, r.status, r.stderr)
	assert.Equal(t, []string{"0", "0", "0"}, r.row(t, "all")[4:])
}

func TestIdle(t *testing.T) {
	r := start(t, nil, "-repeat", "1", "-idle", "100ms", "-spin")
	require.Equal(t, cli.OK, r.status, r.stderr)
	percent := func(how string) float64 {
		found := regexp.MustCompile(`(?m)^idle, 8 receivers ` + how + `: (\d+\.\d)% CPU$`).FindStringSubmatch(r.stdout)
		require.NotNil(t, found, "%s in:\n%s", how, r.stdout)
		value, err := strconv.ParseFloat(found[1], 64)
		require.NoError(t, err)
		return value
	}
	assert.Less(t, percent("parked"), percent("polling"))
	assert.Less(t, percent("parked"), 50.0)
}

func TestInput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "orders.jsonl")
	in := good1 + "\n\nwhat?\n" + `{"id":"C","item":"kettle","quantity":0}` + "\n" + good1 + "\n" + good2
	require.NoError(t, os.WriteFile(file, []byte(in), 0o600))
	for name, test := range map[string]struct {
		stdin               io.Reader
		args                string
		status              int
		stderr              string
		orders, notAccepted int
	}{
		"bad lines are reported and skipped": {nil, "-in " + file + " -in-progress 1", cli.OK,
			`workflow: line 3: not JSON: invalid character 'w' looking for beginning of value: skipped
workflow: line 4: quantity must be 1 or more, not 0: skipped
workflow: line 5: "A": an order with this id was submitted before: skipped
`, 2, 3},
		"with -strict the first ends it": {lines(good1, good2, "what?", "what?"), "-in - -strict -idle 1h", cli.Failed,
			"workflow: line 3: not JSON: invalid character 'w' looking for beginning of value: stopped there, as -strict asks\n", 2, 1},
		"and so does a duplicate": {lines(good1, good2, good1, "what?"), "-in - -strict -idle 1h", cli.Failed,
			"workflow: line 3: \"A\": an order with this id was submitted before: stopped there, as -strict asks\n", 2, 1},
		"none": {lines(), "-in -", cli.OK, "", 0, 0},
		"what breaks off ends it": {io.MultiReader(lines(good1, good2, ""), iotest.ErrReader(errors.New("the cable is loose"))), "-in - -idle 1h", cli.Failed,
			"workflow: the cable is loose\n", 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, test.stdin, strings.Fields(test.args)...)
			assert.Equal(t, test.status, r.status)
			assert.Equal(t, test.stderr, r.stderr)
			assert.Equal(t, test.orders, r.number(t, "orders", 1), "what was accepted is finished")
			assert.Equal(t, 8*test.orders, r.number(t, "all", 1))
			assert.Equal(t, test.notAccepted > 0, strings.Contains(r.stdout, "\nlines"))
			if test.notAccepted > 0 {
				assert.Equal(t, test.notAccepted, r.number(t, "lines", 1))
			}
			if test.orders == 0 {
				assert.Equal(t, []string{"all", "0", "-", "-", "0", "0", "0"}, r.row(t, "all"))
			}
		})
	}
}

func TestUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for args, want := range map[string]string{
		"orders.jsonl":                 `unexpected argument "orders.jsonl": orders are read from -in FILE`,
		"-in " + missing:               missing,
		"-in " + filepath.Dir(missing): "is a directory",
		"-in - -repeat 2":              "-repeat is for the embedded sample, not for -in",
		"-repeat 0":                    "-repeat must be 1 or more, not 0",
		"-repeat many":                 `invalid value "many" for flag -repeat`,
		"-in-progress 0":               "-in-progress must be 1 or more, not 0",
		"-fail-every 1":                "-fail-every must be 0, or 2 or more, not 1: a step that always fails never ends",
		"-fail-every -2":               "-fail-every must be 0, or 2 or more, not -2",
		"-crash-every -1":              "-crash-every must be 0 or more, not -1",
		"-idle -1s":                    "-idle must be 0 or more, not -1s",
		"-spin":                        "-spin measures how a streamer idles, and -idle 0 leaves that out",
		"-nonsense":                    "flag provided but not defined: -nonsense",
	} {
		t.Run(args, func(t *testing.T) {
			r := start(t, nil, strings.Fields(args)...)
			assert.Equal(t, cli.Usage, r.status)
			assert.Empty(t, r.stdout)
			assert.Equal(t, 2, strings.Count(r.stderr, "\n"), r.stderr)
			assert.Contains(t, r.stderr, want)
		})
	}
}

func TestHelp(t *testing.T) {
	r := start(t, nil, "-h")
	assert.Equal(t, cli.OK, r.status)
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
		assert.Equal(t, cli.Failed, Workflow.Run(t.Context(), []string{"-repeat", "1", "-idle", "1ms"}, nil, stdout, &stderr))
		assert.Equal(t, "workflow: no space left\n", messages(&stderr))
	}
}

// The input hangs, as a terminal's does; the orders accepted from it are finished.
func TestInterruptFinishesWhatWasAccepted(t *testing.T) {
	stdin, typed := io.Pipe()
	t.Cleanup(func() { typed.Close() })
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		_, _ = io.WriteString(typed, good1+"\n"+good2+"\n")
		_, _ = io.WriteString(typed, "\n") // which is read once they are accepted
		interrupt()
	}()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.Interrupted, Workflow.Run(ctx, []string{"-in", "-", "-idle", "1h"}, stdin, &stdout, &stderr))
	assert.Equal(t, "workflow: interrupted: finishing what is in progress; interrupt again to stop at once\n", messages(&stderr))
	assert.Regexp(t, `(?m)^orders +2 delivered`, stdout.String())
}

func TestInterruptEndsIdling(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	stdout := writerFunc(func(b []byte) (int, error) {
		interrupt() // the table is written, and idling begins
		return len(b), nil
	})
	assert.Equal(t, cli.Interrupted, Workflow.Run(ctx, []string{"-repeat", "1", "-idle", "1h"}, nil, stdout, io.Discard))
}

func TestOrderThatIsNotAsItShouldBeFailsTheRun(t *testing.T) {
	p := Workflow
	p.Open = func(ctx context.Context) (memstreamer.EventStreamer, fulfilment.Store, func() error, error) {
		streamer, store, closeBoth, err := Workflow.Open(ctx)
		return streamer, forgetful{store}, closeBoth, err
	}
	var stderr bytes.Buffer
	assert.Equal(t, cli.Failed, p.Run(t.Context(), []string{"-in", "-", "-idle", "1h"}, lines(good1, good2), io.Discard, &stderr))
	assert.Equal(t, "workflow: order \"B\" is delivered, charged 0 cents of 500, and picked 2 pieces of 2\n", messages(&stderr))
}

// forgetful saves that B was never charged.
type forgetful struct{ fulfilment.Store }

func (s forgetful) Save(ctx context.Context, record fulfilment.Record) error {
	if record.Order.ID == "B" {
		record.ChargedCents = 0
	}
	return s.Store.Save(ctx, record)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
