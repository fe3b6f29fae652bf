package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asProgram is set in the environment of a test binary that is to be the program.
const asProgram = "MEMSTREAMER_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// kill starts the program, and kills it once it has handled so many orders.
func kill(t *testing.T, handled string, args ...string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program := exec.CommandContext(ctx, os.Args[0], args...)
	program.Env = append(os.Environ(), asProgram+"=1")
	program.Stderr = t.Output()
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	for lines := bufio.NewScanner(stdout); ; {
		require.True(t, lines.Scan(), "it ended before it was killed")
		if lines.Text() == handled {
			break
		}
	}
	require.NoError(t, program.Process.Kill())
	_ = program.Wait()
}

func start(t *testing.T, args ...string) (status int, out string) {
	var both strings.Builder
	status = run(t.Context(), args, &both, &both)
	return status, both.String()
}

func TestKill(t *testing.T) {
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	})
	require.NoError(t, err)
	srv.Start()
	defer func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}()
	require.True(t, srv.ReadyForConnections(time.Minute))
	for name, args := range map[string][]string{
		"embedded": {"-dir", t.TempDir()},
		"nats":     {"-streamer", "nats", "-nats", srv.ClientURL()},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(args, "-orders", "500")
			kill(t, "handled 100", args...)
			kill(t, "handled 300", args...)
			status, out := start(t, args...)
			require.Equal(t, 0, status, out)
			require.True(t, strings.HasPrefix(out, "sent 500 orders\nhandled 100\n"), out)
			var handled, earlier int
			_, err := fmt.Sscanf(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:], "handled %d orders, of which an earlier start had left %d", &handled, &earlier)
			require.NoError(t, err, out)
			require.Equal(t, 500+earlier, handled)
			// The kills may come a moment after what the program has said. A server that
			// is killed with it may not have written the last acks.
			require.GreaterOrEqual(t, earlier, 2*500-200-400)
		})
	}
}

// What cannot start leaves no directory behind.
func TestRefusals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for want, args := range map[string][]string{
		`-streamer must be embedded or nats, not "memory"`: {"-streamer", "memory"},
		"-dir must not be empty":                           {"-dir", ""},
		"-streamer nats needs -nats URL":                   {"-streamer", "nats"},
		"-nats is for -streamer nats":                      {"-nats", "nats://localhost"},
		"-replicas is for -streamer nats":                  {"-replicas", "3"},
		"-replicas must be from 1 to 5":                    {"-streamer", "nats", "-nats", "nats://127.0.0.1:1", "-replicas", "6"},
		"-stream must be the name":                         {"-stream", "a stream"},
		"-orders must be 1 or more, not 0":                 {"-orders", "0"},
		`unexpected argument "orders"`:                     {"orders"},
	} {
		t.Run(want, func(t *testing.T) {
			status, out := start(t, append([]string{"-dir", dir}, args...)...)
			assert.Equal(t, 2, status)
			assert.Contains(t, out, "cluster: "+want)
			assert.NoDirExists(t, dir)
		})
	}
	status, out := start(t, "-dir", dir, "-streamer", "nats", "-nats", "nats://127.0.0.1:1")
	assert.Equal(t, 1, status)
	assert.Contains(t, out, "connect to nats://127.0.0.1:1: nats: no servers available")
	assert.NoDirExists(t, dir)
}

func TestHelp(t *testing.T) {
	status, out := start(t, "-h")
	assert.Equal(t, 0, status)
	assert.Regexp(t, `(?s)^cluster sends orders .*-dir DIR\n`, out)
}
