// Package subprocess runs a test binary as another program, to be killed. The tests of lab
// import it.
package subprocess

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Run runs the test binary with env in its environment, and hands the lines that it writes
// to stdout to read. It kills the child d after its first line, or with a d of 0 waits for
// its end. The test fails if the child ends otherwise, or after two minutes.
func Run(t *testing.T, env []string, d time.Duration, read func(line string)) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	for first := true; ; first = false {
		line, err := lines.ReadString('\n')
		if err == io.EOF { // what is left is a line cut off by the kill
			break
		}
		require.NoError(t, err)
		if first && d > 0 {
			time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
		}
		read(line)
	}
	err = cmd.Wait()
	require.NoError(t, ctx.Err(), "it is stuck")
	if d == 0 {
		require.NoError(t, err)
	} else {
		require.EqualError(t, err, "signal: killed", "it was not killed")
	}
}
