// Package deliverytest tests the commands durable and cluster.
package deliverytest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer/examples/internal/cli"
	"github.com/memstreamer/memstreamer/examples/internal/delivery"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
)

// asProgram is set in the environment of a test binary that is to be the program.
const asProgram = "MEMSTREAMER_TEST_PROGRAM"

// Main is the TestMain of a command.
func Main(m *testing.M, main func()) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// run runs the command in this process.
func run(ctx context.Context, c *delivery.Command, args ...string) (status int, stdout, stderr string) {
	var out, progress bytes.Buffer
	c.Stdout, c.Progress = &out, &cli.Progress{W: &progress}
	status = c.Main(ctx, args)
	return status, out.String(), progress.String()
}

const (
	delivered = "40 orders delivered, in one run each\n280 steps, with one row each\n"
	foundAll  = "found 40 orders, 40 of them delivered, and the rows of 280 steps.\n"
)

// someOrders returns a file of 40 orders.
func someOrders(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "orders.jsonl")
	var lines strings.Builder
	for i := range 40 {
		fmt.Fprintf(&lines, `{"id":"%d","item":"kettle","quantity":1,"price_cents":250}`+"\n", i)
	}
	require.NoError(t, os.WriteFile(file, []byte(lines.String()), 0o600))
	return file
}

// Kill has the command killed at random, started again until it ends, and then once more.
func Kill(t *testing.T, command func() *delivery.Command, args ...string) {
	args = append([]string{"-orders", someOrders(t), "-rate", "100"}, args...)
	for n := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		program := exec.CommandContext(ctx, os.Args[0], args...)
		program.Env = append(os.Environ(), asProgram+"=1")
		stderr, err := program.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, program.Start())
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			t.Logf("start %d: %s", n+1, lines.Text())
			if strings.HasPrefix(lines.Text(), "found") {
				time.AfterFunc(time.Duration(rand.IntN(800))*time.Millisecond, func() { _ = program.Process.Kill() })
			}
		}
		_ = program.Wait()
		cancel()
	}
	status, out, said := run(t.Context(), command(), args...)
	t.Log(said)
	require.Equal(t, 0, status)
	require.Equal(t, delivered, out)
	status, out, said = run(t.Context(), command(), args...)
	require.Equal(t, 0, status, said)
	require.Equal(t, delivered, out)
	require.Contains(t, said, foundAll)
}

// onFound calls f when the command says what it has found.
type onFound struct {
	io.Writer
	f func()
}

func (w onFound) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("found")) {
		w.f()
	}
	return w.Writer.Write(b)
}

// Stop has ctx end in the middle: the rest is delivered by the next start.
func Stop(t *testing.T, command func() *delivery.Command, args ...string) {
	args = append([]string{"-orders", someOrders(t)}, args...)
	c := command()
	inner := c.Run
	c.Run = func(ctx context.Context, dir string, d *delivery.Delivery, orders []fulfilment.Order) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		d.Progress.W = onFound{d.Progress.W, func() { time.AfterFunc(200*time.Millisecond, cancel) }}
		return inner(ctx, dir, d, orders)
	}
	status, out, said := run(t.Context(), c, append(args, "-rate", "1")...)
	require.Equal(t, 0, status)
	require.Regexp(t, `^(.*\n)?found no orders\. .*\ncontext canceled: \d+ orders are left\. Start it again to go on\.\n$`, said)
	require.Empty(t, out)
	status, out, said = run(t.Context(), command(), append(args, "-rate", "0")...)
	require.Equal(t, 0, status, said)
	require.Equal(t, delivered, out)
}

// Refusals tests what is said of args that make no sense, by what is said. It leaves no
// directory behind.
func Refusals(t *testing.T, command func() *delivery.Command, refusals map[string][]string) {
	dir := filepath.Join(t.TempDir(), "data")
	name := command().Name
	bad := filepath.Join(t.TempDir(), "bad.jsonl")
	require.NoError(t, os.WriteFile(bad, []byte("\n{}\n"), 0o600))
	for want, args := range map[string][]string{
		"-rate must be from 0 to 10000, not -1":   {"-rate", "-1"},
		`unexpected argument "orders"`:            {"orders"},
		"flag provided but not defined: -what":    {"-what"},
		"-dir DIR is needed":                      {"-dir", ""},
		bad + ": line 2: id is missing or empty":  {"-orders", bad},
		"open nothing: no such file or directory": {"-orders", "nothing"},
	} {
		refusals[want] = args
	}
	for want, args := range refusals {
		t.Run(want, func(t *testing.T) {
			status, out, said := run(t.Context(), command(), append([]string{"-dir", dir}, args...)...)
			assert.NotZero(t, status)
			assert.True(t, strings.HasPrefix(said, name+": "+want), said)
			assert.Equal(t, status == 2, strings.HasSuffix(said, name+" -h lists the flags.\n"), said)
			assert.Empty(t, out)
			assert.NoDirExists(t, dir)
		})
	}
	status, out, said := run(t.Context(), command(), "-h")
	assert.Equal(t, 0, status)
	assert.Regexp(t, `(?s)^`+name+` takes orders .*\n  -dir DIR\n`, out)
	assert.Empty(t, said)
}
