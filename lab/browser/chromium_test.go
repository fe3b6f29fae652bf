package browser

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// requireVariable is the environment variable that, if set, makes a test fail
// rather than skip for want of a Chromium.
const requireVariable = "MEMSTREAMER_REQUIRE_CHROMIUM"

// timeout ends a test whose page never shows what the test waits for.
const timeout = 2 * time.Minute

// startChromium starts a Chromium, or a browser built on it, with a fresh
// profile and a tab of that size. It returns the context by which chromedp
// drives the tab. The browser ends with the test. The test is skipped if the
// machine has no Chromium.
func startChromium(t *testing.T, width, height int) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, slices.Concat(chromedp.DefaultExecAllocatorOptions[:], []chromedp.ExecAllocatorOption{
		chromedp.WindowSize(width, height),
		// It may run as root, and it sees only our own page.
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		// It looks for nothing but the page.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	})...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	switch err := chromedp.Do(ctx); {
	case err == nil:
	case !errors.Is(err, exec.ErrNotFound):
		t.Fatalf("start Chromium: %v", err)
	case os.Getenv(requireVariable) != "":
		t.Fatalf("no Chromium found, and %s is set: install one (apt-get install chromium)", requireVariable)
	default:
		t.Skip("no Chromium found: install one to test what a person sees (apt-get install chromium)")
	}
	return ctx
}
