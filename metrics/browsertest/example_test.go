package browsertest

import (
	"bufio"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var screenshot = flag.Bool("screenshot", false, "write the page of the example to ../streamer.png, once it shows most")

// startExample builds and starts ../example, until the test ends. It returns the
// URL of its page.
func startExample(t *testing.T, args ...string) (page string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "example.exe")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../example", "-o", program, ".")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	command := exec.CommandContext(t.Context(), program, args...)
	command.Stderr = t.Output()
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	// The context of the test, which ends before its cleanup, kills the program.
	t.Cleanup(func() { _ = command.Wait() })
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "page:"); ok {
			return strings.TrimSpace(url)
		}
	}
	require.Fail(t, "the program ended before it served")
	return ""
}

// TestExample sees the slow step on the page. With -screenshot it waits until
// there is more to see, and keeps the picture.
func TestExample(t *testing.T) {
	rate, rows := "200", []string{`(?m)^charge \| \S+ \| [\d,]*\d\d \|`}
	if *screenshot {
		rate, rows = "50", append(rows,
			`(?m)^pick \| \S+ \| [\d,]*\d\d \|`,
			`(?m)^ship \| \S+ \| \S+ \| \S+ \| [\d,]*\d\d \|`,
			`Topic \| .*(\n.* \| [\d,]*,\d{3} \| [\d,]+)+$`, // retention is at work: all of the first IDs
		)
	}
	b := browse(t, startExample(t, "-addr", "127.0.0.1:0", "-rate", rate))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		// It loads itself again every two seconds, which may miss what comes and goes.
		require.NoError(c, chromedp.Do(b.ctx, chromedp.Navigate(b.url)))
		shown := strings.Join(b.view(c).Rows, "\n")
		for _, row := range rows {
			assert.Regexp(c, row, shown)
		}
	}, 90*time.Second, 50*time.Millisecond)
	if *screenshot {
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile("../streamer.png", picture, 0o644))
	}
}
