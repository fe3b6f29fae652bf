package metrics_test

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/metrics"
	"github.com/memstreamer/memstreamer/metrics/internal/chromium"
)

// browser is a Chromium that shows the page. It is sent there once: whatever
// else it loads, it loads by itself.
type browser struct {
	t   *testing.T
	ctx context.Context
	url string

	mu       sync.Mutex
	requests []string // the URLs asked for
}

func browse(t *testing.T, s metrics.Streamer) *browser {
	t.Helper()
	server := httptest.NewServer(metrics.NewHandler(s))
	t.Cleanup(server.Close)
	b := &browser{t: t, ctx: chromium.Start(t, 1000, 700), url: server.URL + "/"}
	require.NoError(t, chromedp.Listen(b.ctx, func(event any) {
		if request, ok := event.(*network.EventRequestWillBeSent); ok {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.requests = append(b.requests, request.Request.URL)
		}
	}))
	require.NoError(t, chromedp.Do(b.ctx, chromedp.Navigate(b.url)))
	return b
}

// eventually waits until the page, which may be loading itself anew, is as
// check wants it.
func (b *browser) eventually(check func(c *assert.CollectT)) {
	b.t.Helper()
	require.EventuallyWithT(b.t, check, 30*time.Second, 50*time.Millisecond)
}

func eval[T any](c require.TestingT, b *browser, expression string) T {
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	require.NoError(c, err)
	return value
}

// view is what the page is at one moment.
type view struct {
	Text     string // its lines, and the cells of a table with bars between them
	Title    string
	Active   int    // scripts and images
	Numbers  string // how they are set
	Overflow int    // by how many pixels it is wider than the window
}

func (b *browser) view(c require.TestingT) view {
	return eval[view](c, b, `(() => {
		const number = getComputedStyle(document.querySelector("td.number"))
		return {
			Text: document.body.innerText.replaceAll("\t", " | "),
			Title: document.title,
			Active: document.scripts.length + document.images.length,
			Numbers: number.textAlign + " " + number.fontVariantNumeric,
			Overflow: document.documentElement.scrollWidth - innerWidth,
		}
	})()`)
}

// follow clicks the link with that text until the page is at the query.
func (b *browser) follow(link, query string) {
	b.t.Helper()
	b.eventually(func(c *assert.CollectT) {
		eval[chromedp.Void](c, b, fmt.Sprintf("[...document.links].find(a => a.innerText == %q)?.click()", link))
		assert.Equal(c, query, eval[string](c, b, "location.search"))
	})
}

func lines(s ...string) string { return strings.Join(s, "\n") }

func TestPageInABrowser(t *testing.T) {
	const (
		script = `<script>document.title = "broken"</script>`
		image  = `"><img src="https://elsewhere.test/pixel.png">`
	)
	long := strings.Repeat("long", 100)
	s := busy(t)
	send(t, s, script, 9)
	slow := open(t, s, script, image)
	open(t, s, "quiet", long)
	b := browse(t, s)
	b.eventually(func(c *assert.CollectT) {
		view := b.view(c)
		assert.Contains(c, view.Text, "Open receivers: 6 · parked in Recv: 1 · events kept: 14 ·")
		assert.Contains(c, view.Text, lines(
			"Topic | Receiver | Lag | Open | Parked | Acked ID",
			script+" | "+image+" | 9 | 1 | 0 | –",
			"orders | run 17 | 4 | 0 | 0 | –",
			"orders | billing | 3 | 2 | 0 | 1",
			"mail | printer | 0 | 1 | 1 | 5",
			"quiet | archive | 0 | 1 | 0 | –",
			"quiet | "+long+" | 0 | 1 | 0 | –",
			"Topics",
			"Topic | Largest lag | Retained | First ID | Last ID",
			script+" | 9 | 9 | 6 | 14",
			"orders | 4 | 4 | 1 | 4",
			"mail | 0 | 1 | 5 | 5",
			"quiet | 0 | 0 | – | –",
		))
		assert.Equal(c, "memstreamer", view.Title)
		assert.Zero(c, view.Active)
		assert.Equal(c, "right tabular-nums", view.Numbers, "is its own style in use?")
		assert.LessOrEqual(c, view.Overflow, 0)
	})

	// Nobody but the page itself loads it again.
	ack(t, slow, 7)
	send(t, s, "orders", 3)
	b.eventually(func(c *assert.CollectT) {
		view := b.view(c)
		assert.Contains(c, view.Text, lines(
			"Topic | Receiver | Lag | Open | Parked | Acked ID",
			"orders | run 17 | 7 | 0 | 0 | –",
			"orders | billing | 6 | 2 | 0 | 1",
			script+" | "+image+" | 2 | 1 | 0 | 12",
		))
		assert.Contains(c, view.Text, lines(
			"Topic | Largest lag | Retained | First ID | Last ID",
			"orders | 7 | 7 | 1 | 17",
			script+" | 2 | 9 | 6 | 14",
		))
	})

	b.mu.Lock()
	defer b.mu.Unlock()
	require.GreaterOrEqual(t, len(b.requests), 2)
	for _, request := range b.requests {
		if !strings.HasPrefix(request, "data:") {
			require.Equal(t, b.url, request)
		}
	}
}

func TestPageOfOpenReceiversInABrowser(t *testing.T) {
	s := busy(t)
	b := browse(t, s)
	b.follow("Show those with an open receiver.", "?open")
	send(t, s, "orders", 1)
	b.eventually(func(c *assert.CollectT) {
		assert.Contains(c, b.view(c).Text, lines(
			"Topic | Receiver | Lag | Open | Parked | Acked ID",
			"orders | billing | 4 | 2 | 0 | 1",
			"mail | printer | 0 | 1 | 1 | 5",
			"quiet | archive | 0 | 1 | 0 | –",
			"Topics",
			"Topic | Largest lag | Retained | First ID | Last ID",
			"orders | 4 | 5 | 1 | 6",
		))
	})
	b.follow("Show all names.", "")
	b.eventually(func(c *assert.CollectT) {
		assert.Contains(c, b.view(c).Text, "orders | run 17 | 5 | 0 | 0 | –")
	})
}

func TestPageInDarkAndLight(t *testing.T) {
	b := browse(t, busy(t))
	background := map[string]float64{}
	for _, scheme := range []string{"light", "dark"} {
		_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		require.NoError(t, err)
		b.eventually(func(c *assert.CollectT) {
			back := luminance(c, eval[string](c, b, "getComputedStyle(document.body).backgroundColor"))
			for _, selector := range []string{"body", "p", "a", "th", "td", "td.behind", "tr.closed td"} {
				text := luminance(c, eval[string](c, b, fmt.Sprintf("getComputedStyle(document.querySelector(%q)).color", selector)))
				contrast := (max(text, back) + 0.05) / (min(text, back) + 0.05)
				assert.Greater(c, contrast, 4.5, "%s, %s", selector, scheme)
			}
			background[scheme] = back
		})
	}
	require.Less(t, background["dark"], 0.1)
	require.Greater(t, background["light"], 0.9)
}

// luminance is the relative luminance, as WCAG defines it, of a colour as
// getComputedStyle spells it.
func luminance(c require.TestingT, color string) float64 {
	var rgb [3]float64
	_, err := fmt.Sscanf(color, "rgb(%g, %g, %g)", &rgb[0], &rgb[1], &rgb[2])
	require.NoError(c, err, color)
	for i, v := range rgb {
		if v /= 255; v <= 0.04045 {
			rgb[i] = v / 12.92
		} else {
			rgb[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*rgb[0] + 0.7152*rgb[1] + 0.0722*rgb[2]
}
