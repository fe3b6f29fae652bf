//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// process is the program in a process of its own.
type process struct {
	*exec.Cmd
	stdout bytes.Buffer
	stderr *bufio.Scanner
}

func start(t *testing.T, stdin io.Reader, args ...string) *process {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	p := &process{Cmd: exec.CommandContext(ctx, os.Args[0], args...)}
	p.Env = append(os.Environ(), asProgram+"=1")
	p.Stdin, p.Stdout = stdin, &p.stdout
	stderr, err := p.StderrPipe()
	require.NoError(t, err)
	p.stderr = bufio.NewScanner(stderr)
	require.NoError(t, p.Start())
	return p
}

// says waits for the next line on standard error.
func (p *process) says(t *testing.T, line string) {
	t.Helper()
	require.True(t, p.stderr.Scan(), "it ended, and did not say %q", line)
	require.Equal(t, line, p.stderr.Text())
}

// end returns how the process has ended.
func (p *process) end(t *testing.T) syscall.WaitStatus {
	t.Helper()
	for p.stderr.Scan() {
		t.Log(p.stderr.Text())
	}
	_ = p.Wait()
	return p.ProcessState.Sys().(syscall.WaitStatus)
}

const finishing = ": finishing the orders in progress; once more to stop at once"

// The first signal has the orders in progress finished, and the table printed.
func TestSignals(t *testing.T) {
	for signal, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			// The first order is placed at once, the next a second later.
			p := start(t, strings.NewReader(lines(100)), "-orders", "-", "-rate", "1")
			p.says(t, "1/3 adapter: 100 orders")
			require.NoError(t, p.Process.Signal(signal))
			p.says(t, "workflow: "+signal.String()+finishing)
			end := p.end(t)
			assert.True(t, end.Exited())
			assert.Equal(t, status, end.ExitStatus())
			assert.Regexp(t, `^100 orders, 1 a second, by seven
steps of luno/workflow

              adapter
delivered           [12]
(.*\n)+idle, cores         -
`, p.stdout.String())
		})
	}
}

// The second signal ends the program at once, with orders in progress.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	p := start(t, strings.NewReader(lines(5000)), "-orders", "-", "-rate", "0")
	p.says(t, "1/3 adapter: 5000 orders")
	require.NoError(t, p.Process.Signal(os.Interrupt))
	p.says(t, "workflow: interrupt"+finishing)
	require.NoError(t, p.Process.Signal(os.Interrupt))
	end := p.end(t)
	assert.True(t, end.Signaled())
	assert.Equal(t, syscall.SIGINT, end.Signal())
	assert.Empty(t, p.stdout.String())
}

// An input that does not end is left.
func TestSignalWhileItReads(t *testing.T) {
	t.Parallel()
	stdin, input, err := os.Pipe()
	require.NoError(t, err)
	defer input.Close()
	p := start(t, stdin, "-orders", "-")
	require.NoError(t, stdin.Close())
	// More than a pipe holds: once it is written, the program reads.
	_, err = io.WriteString(input, lines(10_000))
	require.NoError(t, err)
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	assert.Equal(t, 143, p.end(t).ExitStatus())
	assert.Empty(t, p.stdout.String())
}
