package browsertest

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"net/http"
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

// tables is what of the page's JSON the test looks at.
type tables struct {
	Receivers []struct {
		Name       string
		Lag        int64
		Deliveries int64
	}
	Topics []struct {
		FirstID int64 `json:"first_id"`
	}
}

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

func readTables(t require.TestingT, url string) (v tables) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Header.Set("Accept", "application/json")
	// A connection that is kept would leak its goroutines.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(body, &v), string(body))
	return v
}

// TestExample sees the slow step on the page. With -screenshot it waits until
// there is more to see, and keeps the picture.
func TestExample(t *testing.T) {
	ctx := startChromium(t, 1100, 800)
	rate := "200"
	if *screenshot {
		rate = "50"
	}
	page := startExample(t, "-addr", "127.0.0.1:0", "-rate", rate)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		v := readTables(c, page)
		lag, deliveries := map[string]int64{}, map[string]int64{}
		for _, r := range v.Receivers {
			lag[r.Name], deliveries[r.Name] = r.Lag, r.Deliveries
		}
		assert.Greater(c, lag["charge"], int64(100))
		if *screenshot {
			assert.Greater(c, lag["pick"], int64(20))
			assert.Greater(c, deliveries["ship"], int64(10))
			for _, topic := range v.Topics {
				assert.Greater(c, topic.FirstID, int64(1000), "retention is not at work yet")
			}
		}
	}, 90*time.Second, 20*time.Millisecond)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(page)))
	text, err := chromedp.Run(ctx, chromedp.Text("body"))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^charge\s+fulfilment-reserved\s+[1-9][\d,]*\s`, text)
	if *screenshot {
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile("../streamer.png", picture, 0o644))
	}
}
