package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/examples/workflow/workflowtest"
	"github.com/memstreamer/memstreamer/internal/cli"
)

func TestMain(m *testing.M) { workflowtest.Main(m, main) }

// program is the program at work, with the URLs that it printed.
type program struct {
	metrics, page string
	stop          func() int // returns the exit status
}

// start runs the program in this process, until stop or the end of the test.
func start(t *testing.T, rate int) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		exit <- run(ctx, []string{"-addr", "127.0.0.1:0", "-rate", fmt.Sprint(rate)}, w, t.Output())
		close(exit)
		w.Close()
	}()
	t.Cleanup(func() {
		cancel()
		<-exit
	})
	p := &program{stop: func() int {
		cancel()
		return <-exit
	}}
	p.metrics, p.page = urls(t, r)
	go io.Copy(io.Discard, r)
	return p
}

// urls reads what the program prints when it starts.
func urls(t *testing.T, stdout io.Reader) (metrics, page string) {
	t.Helper()
	lines := bufio.NewScanner(stdout)
	for metrics == "" || page == "" {
		require.True(t, lines.Scan(), "the program ended before it served")
		if url, ok := strings.CutPrefix(lines.Text(), "metrics:"); ok {
			metrics = strings.TrimSpace(url)
		}
		if url, ok := strings.CutPrefix(lines.Text(), "page:"); ok {
			page = strings.TrimSpace(url)
		}
	}
	return metrics, page
}

func get(t require.TestingT, url, accept string) []byte {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Header.Set("Accept", accept)
	// A connection that is kept would leak its goroutines.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return body
}

// value returns the value of one series of a scrape, and 0 where there is none.
func value(t require.TestingT, url, series string) float64 {
	for line := range strings.Lines(string(get(t, url, ""))) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			require.NoError(t, err)
			return value
		}
	}
	return 0
}

func TestRun(t *testing.T) {
	p := start(t, 200)
	for _, series := range []string{
		"memstreamer_events_total",
		`memstreamer_retained_events{topic="` + fulfilment.Delivered.Topic() + `"}`,
		`memstreamer_retained_events{topic="` + fulfilment.Placed.Topic() + `"}`,
	} {
		var before float64
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			before = value(c, p.metrics, series)
			assert.Positive(c, before)
		}, 30*time.Second, 20*time.Millisecond, series)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			assert.Greater(c, value(c, p.metrics, series), before)
		}, 30*time.Second, 20*time.Millisecond, series)
	}

	var tables struct{ Receivers []struct{ Name string } }
	require.NoError(t, json.Unmarshal(get(t, p.page+"?json", ""), &tables))
	var names []string
	for _, r := range tables.Receivers {
		names = append(names, r.Name)
	}
	require.ElementsMatch(t, fulfilment.Consumers(), names)

	require.Equal(t, cli.OK, p.stop())
	_, err := http.Get(p.page)
	require.Error(t, err, "it still serves")
}

func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no way to interrupt one process")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	command := workflowtest.Command(ctx, "-addr", "127.0.0.1:0")
	command.Stderr = t.Output()
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	metrics, _ := urls(t, stdout)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Positive(c, value(c, metrics, "memstreamer_events_total"))
	}, 20*time.Second, 20*time.Millisecond)
	require.NoError(t, command.Process.Signal(os.Interrupt))
	_, err = io.Copy(io.Discard, stdout)
	require.NoError(t, err)
	require.NoError(t, command.Wait(), "the exit status is not 0")
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
		{"-rate 0", cli.Usage, "example: -rate must be from 1 to 1000, not 0"},
		{"-rate 1001", cli.Usage, "example: -rate must be from 1 to 1000, not 1001"},
		{"-rate x", cli.Usage, `invalid value "x" for flag -rate`},
		{"orders", cli.Usage, `example: unexpected argument "orders"`},
		{"-addr nowhere", cli.Failed, "example: listen tcp: address nowhere: missing port in address"},
		{"-addr " + taken.Addr().String(), cli.Failed, "example: listen tcp " + taken.Addr().String()},
	} {
		t.Run(test.args, func(t *testing.T) {
			var stdout, stderr strings.Builder
			require.Equal(t, test.status, run(t.Context(), strings.Fields(test.args), &stdout, &stderr))
			require.Contains(t, stderr.String(), test.stderr)
			require.Empty(t, stdout.String())
		})
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr strings.Builder
	require.Equal(t, cli.OK, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	require.Regexp(t, `^example runs an order workflow .*\n.*\n\nUsage: example \[flags]\n\n  -addr HOST:PORT\n`, stdout.String())
	require.Empty(t, stderr.String())
}
