package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

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

// urls reads what the program prints when it starts.
func urls(t *testing.T, stdout io.Reader) (page, metrics string) {
	t.Helper()
	lines := bufio.NewScanner(stdout)
	for page == "" || metrics == "" {
		require.True(t, lines.Scan(), "the program ended before it served")
		if url, ok := strings.CutPrefix(lines.Text(), "page:"); ok {
			page = strings.TrimSpace(url)
		}
		if url, ok := strings.CutPrefix(lines.Text(), "metrics:"); ok {
			metrics = strings.TrimSpace(url)
		}
	}
	return page, metrics
}

// get returns the body of the answer, and the URL that it is from.
func get(t require.TestingT, url string) (body, from string) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	// A connection that is kept would leak its goroutines.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text), response.Request.URL.Path
}

// value returns the value of one series of a scrape, and 0 where there is none.
func value(t require.TestingT, url, series string) float64 {
	body, _ := get(t, url)
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			require.NoError(t, err)
			return value
		}
	}
	return 0
}

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, w := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		exit <- run(ctx, []string{"-addr", "127.0.0.1:0", "-rate", "200"}, w, t.Output())
		w.Close()
	}()
	page, metrics := urls(t, stdout)
	go io.Copy(io.Discard, stdout)

	// Events reach the first step, and the end.
	for _, topic := range []string{"orders-1", "orders-run-state-change"} {
		series := fmt.Sprintf("memstreamer_retained_events{topic=%q}", topic)
		var before float64
		for range 2 {
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				now := value(c, metrics, series)
				assert.Greater(c, now, before)
				before = now
			}, 30*time.Second, 20*time.Millisecond, series)
		}
	}
	body, from := get(t, page)
	assert.Equal(t, "/debug/streamer", from)
	for status := range 7 {
		assert.Contains(t, body, fmt.Sprintf("orders-%d-consumer-1-of-1", status+1))
	}

	assert.NotContains(t, body, "paused-records-retry", "it would keep events for an hour")

	cancel()
	assert.Equal(t, 0, <-exit)
	_, err := http.Get(page)
	assert.Error(t, err, "it still serves")
}

func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt on Windows")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program := exec.CommandContext(ctx, os.Args[0], "-addr", "127.0.0.1:0")
	program.Env = append(os.Environ(), asProgram+"=1")
	program.Stderr = t.Output()
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	_, metrics := urls(t, stdout)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Positive(c, value(c, metrics, "memstreamer_events_total"))
	}, 30*time.Second, 20*time.Millisecond)
	require.NoError(t, program.Process.Signal(os.Interrupt))
	_, err = io.Copy(io.Discard, stdout)
	require.NoError(t, err)
	require.NoError(t, program.Wait(), "the exit status is not 0")
}

func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, test := range []struct {
		args   string
		status int
		stderr string
	}{
		{"-rate 0", 2, "metrics: -rate must be from 1 to 1000, not 0"},
		{"-rate 1001", 2, "metrics: -rate must be from 1 to 1000, not 1001"},
		{"-rate x", 2, `invalid value "x" for flag -rate`},
		{"orders", 2, `metrics: unexpected argument "orders"`},
		{"-addr nowhere", 1, "metrics: listen tcp: address nowhere: missing port in address"},
		{"-addr " + taken.Addr().String(), 1, "metrics: listen tcp " + taken.Addr().String()},
		{"-h", 0, "-addr HOST:PORT"},
	} {
		t.Run(test.args, func(t *testing.T) {
			var stdout, stderr strings.Builder
			assert.Equal(t, test.status, run(t.Context(), strings.Fields(test.args), &stdout, &stderr))
			assert.Contains(t, stderr.String(), test.stderr)
			assert.Empty(t, stdout.String())
		})
	}
}
