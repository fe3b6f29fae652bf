package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer/examples/internal/cli"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
)

// asProgram is set in the environment of a test binary that is to be the program.
const asProgram = "MEMSTREAMER_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// output is what a run of the program leaves behind.
type output struct {
	status         int
	stdout, stderr string
}

// run runs the program in this process, with a short idle time.
func run(ctx context.Context, stdin io.Reader, args ...string) output {
	var stdout, stderr bytes.Buffer
	p := program{stdin: stdin, stdout: &stdout, progress: &cli.Progress{W: &stderr}, idle: 50 * time.Millisecond}
	status := p.run(ctx, args)
	return output{status, stdout.String(), stderr.String()}
}

// lines returns the input of so many orders.
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":"%d","item":"kettle","quantity":1,"price_cents":250}`+"\n", i)
	}
	return b.String()
}

func TestThreeRounds(t *testing.T) {
	got := run(t.Context(), strings.NewReader(lines(40)), "-orders", "-", "-rate", "0")
	require.Equal(t, ok, got.status, got.stderr)
	assert.Equal(t, "1/3 adapter: 40 orders\n2/3 ours: 40 orders\n3/3 parked: 40 orders\n", got.stderr)
	assert.Regexp(t, `^40 orders, all at once, by seven
steps of luno/workflow

              adapter     ours   parked
delivered          40       40       40
tries failed        3        3        3
run, mean    .*
run, p99     .*
CPU          .*
goroutines         31       22       22
heap, MB     .*
names kept         50       10       10
idle, cores( +0\.\d{4}){3}

adapter  .*
ours     .*
parked   .*
`, got.stdout)
}

// In a bubble time passes only while everything waits for it: for the outbox, where
// it is not parked.
func TestParkedRunsWaitForNothing(t *testing.T) {
	orders, err := fulfilment.ReadOrders(strings.NewReader(lines(10))) // of which none fails
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		a := arrangements[2]
		r := round{result: result{arrangement: a}, parts: a.open(), progress: &cli.Progress{W: io.Discard}}
		require.NoError(t, r.run(t.Context(), orders, 0))
		assert.Equal(t, make([]time.Duration, 10), r.took)
	})
}

// What a round keeps is its own: not that of the rounds before it, and not less
// because that goes meanwhile.
func TestEachRoundHasItsOwnHeap(t *testing.T) {
	orders, err := fulfilment.ReadOrders(strings.NewReader(lines(5)))
	require.NoError(t, err)
	for i := range orders {
		orders[i].Item = strings.Repeat("x", 50_000)
	}
	var heaps []int64
	for range 2 {
		a := arrangements[2]
		r := round{result: result{arrangement: a}, parts: a.open(), progress: &cli.Progress{W: io.Discard}}
		require.NoError(t, r.run(t.Context(), orders, 0))
		heaps = append(heaps, r.heap)
	}
	for _, heap := range heaps {
		assert.InEpsilon(t, 5*9*50_000, heap, 0.2, "%v", heaps) // a snapshot of each record, and the last
	}
}

func TestOnly(t *testing.T) {
	got := run(t.Context(), nil, "-only", "parked", "-rate", "1000")
	require.Equal(t, ok, got.status, got.stderr)
	assert.Equal(t, "1/1 parked: 100 orders\n", got.stderr)
	assert.Contains(t, got.stdout, "\n               parked\ndelivered         100\n")
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	bad, empty := filepath.Join(dir, "bad.jsonl"), filepath.Join(dir, "empty.jsonl")
	require.NoError(t, os.WriteFile(bad, []byte(lines(2)+"{}\n"+lines(1)), 0o600))
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, test := range []struct {
		args   string
		status int
		stderr string
	}{
		{"-rate -1", misused, "-rate must be from 0 to 10000, not -1\n"},
		{"-rate 10001", misused, "-rate must be from 0 to 10000, not 10001\n"},
		{"-rate x", misused, `invalid value "x" for flag -rate: parse error` + "\n"},
		{"-only theirs", misused, `-only must be adapter, ours or parked, not "theirs"` + "\n"},
		{"-what", misused, "flag provided but not defined: -what\n"},
		{"orders.jsonl", misused, `unexpected argument "orders.jsonl": orders are read from -orders FILE` + "\n"},
		{"-orders " + bad, failed, bad + ": line 3: id is missing or empty\n"},
		{"-orders " + empty, failed, empty + ": no orders: want lines like " + fulfilment.AnOrder + "\n"},
		{"-orders -", failed, "standard input: no orders: want lines like " + fulfilment.AnOrder + "\n"},
		{"-orders " + filepath.Join(dir, "none"), failed, "open " + filepath.Join(dir, "none") + ": no such file or directory\n"},
		{"-orders " + dir, failed, dir + ": read " + dir + ": is a directory\n"},
	} {
		t.Run(test.args, func(t *testing.T) {
			got := run(t.Context(), strings.NewReader(""), strings.Fields(test.args)...)
			want := "workflow: " + test.stderr
			if test.status == misused {
				want += "workflow -h lists the flags.\n"
			}
			assert.Equal(t, output{test.status, "", want}, got)
		})
	}
}

func TestHelp(t *testing.T) {
	got := run(t.Context(), nil, "-h")
	assert.Equal(t, ok, got.status)
	assert.Empty(t, got.stderr)
	assert.Regexp(t, `(?s)^workflow runs orders .*\nUsage: go run -C examples ./workflow \[flags\]\n\n  -only ONE\n`, got.stdout)
}

// A step fails at the first try for each order in so many.
func TestTroubles(t *testing.T) {
	var r round
	work := r.work()
	var failures []string
	for i := range 40 {
		order := &fulfilment.Order{ID: fmt.Sprint(i + 1)}
		for to := fulfilment.Confirmed; to <= fulfilment.Delivered; to++ {
			if err := work(t.Context(), order, to); err != nil {
				failures = append(failures, fmt.Sprintf("%v: %v", to, err))
				require.NoError(t, work(t.Context(), order, to), "the second try")
			}
		}
	}
	assert.Equal(t, []string{"Charged: 20 fails on purpose", "Shipped: 33 fails on purpose", "Charged: 40 fails on purpose"}, failures)
	assert.EqualValues(t, 3, r.failing.Load())
}

// What went wrong otherwise is told.
func TestOtherErrorsAreTold(t *testing.T) {
	var said bytes.Buffer
	l := logger{&round{progress: &cli.Progress{W: &said}}}
	l.Error(t.Context(), fmt.Errorf("run error: 20 %s", onPurpose))
	l.Error(t.Context(), io.ErrUnexpectedEOF)
	assert.Equal(t, "workflow: unexpected EOF\n", said.String())
}
