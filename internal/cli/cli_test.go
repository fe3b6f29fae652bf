package cli_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/internal/cli"
)

// stubborn has the test binary be a program that does not end with its context.
const stubborn = "MEMSTREAMER_TEST_STUBBORN"

func TestMain(m *testing.M) {
	if os.Getenv(stubborn) != "" {
		cli.Main(func(ctx context.Context, _ []string, stdout, _ io.Writer) int {
			fmt.Fprintln(stdout, "started")
			<-ctx.Done()
			fmt.Fprintln(stdout, "interrupted")
			select {}
		})
	}
	os.Exit(m.Run())
}

// The first interrupt ends the context, and those after it the program.
func TestInterrupts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt on Windows")
	}
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Env = append(os.Environ(), stubborn+"=1")
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	says := bufio.NewScanner(stdout)
	for _, line := range []string{"started", "interrupted"} {
		require.True(t, says.Scan())
		require.Equal(t, line, says.Text())
		require.NoError(t, program.Process.Signal(os.Interrupt))
	}
	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()
	deadline := time.After(time.Minute)
	for {
		select {
		case err := <-ended:
			assert.EqualError(t, err, "signal: interrupt")
			return
		case <-time.After(10 * time.Millisecond): // the second may have come too early
			_ = program.Process.Signal(os.Interrupt)
		case <-deadline:
			t.Fatal("it goes on after more interrupts")
		}
	}
}
