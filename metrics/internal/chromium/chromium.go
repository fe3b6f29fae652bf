// Package chromium drives a headless Chromium in tests.
package chromium

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

// RequireVariable is the environment variable that, where it is set, makes a
// test fail and not be skipped for want of a Chromium.
const RequireVariable = "MEMSTREAMER_REQUIRE_CHROMIUM"

// timeout ends a test whose page does not come to show what it waits for.
const timeout = 2 * time.Minute

// Start starts a Chromium, or what is built on it, with a fresh profile and a
// tab of that size, and returns the context by which chromedp drives the tab.
// All of that ends with the test. The test is skipped where the machine has no
// Chromium.
func Start(t testing.TB, width, height int) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, slices.Concat(chromedp.DefaultExecAllocatorOptions[:], []chromedp.ExecAllocatorOption{
		chromedp.WindowSize(width, height),
		// It may run as root, and sees our own page alone.
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		// Whatever else it looks for by itself, it does not find.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	})...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	switch err := chromedp.Do(ctx); {
	case err == nil:
	case !errors.Is(err, exec.ErrNotFound):
		t.Fatalf("start Chromium: %v", err)
	case os.Getenv(RequireVariable) != "":
		t.Fatalf("no Chromium found, and %s is set: install one (apt-get install chromium)", RequireVariable)
	default:
		t.Skip("no Chromium found: install one to test what a person sees (apt-get install chromium)")
	}
	return ctx
}
