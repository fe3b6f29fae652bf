package browser

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/metrics"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// stopped is a memstreamer.Clock that stands still.
type stopped time.Time

func (s stopped) Now() time.Time { return time.Time(s) }

// now is the time of all tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Names that would break a page that did not escape, or wrap, them.
var (
	script = `<script>document.title = "broken"</script>`
	image  = `"><img src="https://elsewhere.test/pixel.png">`
	wide   = strings.Repeat("long", 100)
)

// busy returns the Stats of a streamer with something of everything.
func busy() memstreamer.Stats {
	return memstreamer.Stats{
		Topics: []memstreamer.TopicStats{
			{Topic: script, Retained: 9, FirstID: 6, LastID: 14, Sent: 9},
			{Topic: "mail", Retained: 1, FirstID: 5, LastID: 5, Sent: 12},
			{Topic: "orders", Retained: 12345678, FirstID: 1, LastID: 12345678, Sent: 23456789},
			{Topic: "quiet"},
		},
		Receivers: []memstreamer.ReceiverStats{
			{Topic: script, Name: image, Open: 1, Lag: 9, OldestUnacked: now.Add(-3 * time.Second), Deliveries: 1},
			{Topic: "mail", Name: "printer", Ephemeral: true, Open: 1, Parked: 1, Acked: 12, AckedID: 5},
			{Topic: "orders", Name: "billing", Lag: 12345677, OldestUnacked: now.Add(-28 * time.Hour), Deliveries: 1200, Acked: 1, AckedID: 1},
			{Topic: "orders", Name: "run 17", Lag: 4, OldestUnacked: now.Add(-90 * time.Second)},
			{Topic: "quiet", Name: "archive"},
			{Topic: "quiet", Name: wide, Open: 1},
		},
	}
}

// browser is a Chromium that shows a page. It is sent there once: whatever else it
// loads, it loads by itself.
type browser struct {
	t   *testing.T
	ctx context.Context
	url string

	mu       sync.Mutex
	requests []string // the URLs asked for
}

func browse(t *testing.T, url string) *browser {
	t.Helper()
	b := &browser{t: t, ctx: startChromium(t, 1100, 800), url: url}
	require.NoError(t, chromedp.Listen(b.ctx, func(event any) {
		if request, ok := event.(*network.EventRequestWillBeSent); ok {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.requests = append(b.requests, request.Request.URL)
		}
	}))
	require.NoError(t, chromedp.Do(b.ctx, chromedp.Navigate(url)))
	return b
}

// browseBusy shows the page of a streamer whose Stats are busy's, until show
// changes them.
func browseBusy(t *testing.T) (b *browser, show func(memstreamer.Stats)) {
	t.Helper()
	var s changing
	s.show(busy())
	server := httptest.NewServer(metrics.NewHandler(&s, metrics.WithClock(stopped(now))))
	t.Cleanup(server.Close)
	return browse(t, server.URL+"/"), s.show
}

// changing is a streamer whose Stats a test sets.
type changing struct {
	atomic.Pointer[memstreamer.Stats]
}

func (c *changing) Stats() memstreamer.Stats { return *c.Load() }

func (c *changing) show(stats memstreamer.Stats) { c.Store(&stats) }

// eventually waits until the page, which may be reloading, passes check.
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
	Summary string
	Rows    []string // of both tables: the cells with bars between them
	Title   string
	Active  int    // scripts and images
	Numbers string // how they are set
}

func (b *browser) view(c require.TestingT) view {
	return eval[view](c, b, `(() => {
		const number = getComputedStyle(document.querySelector("td.number"))
		const shown = cell => getComputedStyle(cell).display != "none"
		const cells = row => [...row.cells].filter(shown).map(cell => cell.innerText)
		return {
			Summary: document.querySelector("p").innerText,
			Rows: [...document.querySelectorAll("tr")].map(row => cells(row).join(" | ")),
			Title: document.title,
			Active: document.scripts.length + document.images.length,
			Numbers: number.textAlign + " " + number.fontVariantNumeric,
		}
	})()`)
}

// follow clicks the link with that text until the page has that query.
func (b *browser) follow(link, query string) {
	b.t.Helper()
	b.eventually(func(c *assert.CollectT) {
		eval[chromedp.Void](c, b, fmt.Sprintf("[...document.links].find(a => a.innerText == %q)?.click()", link))
		assert.Equal(c, query, eval[string](c, b, "location.search"))
	})
}

func TestPage(t *testing.T) {
	b, show := browseBusy(t)
	b.eventually(func(c *assert.CollectT) {
		view := b.view(c)
		assert.Equal(c, "Open receivers: 3 · parked in Recv: 1 · events kept: 12,345,688 · 12:00:00 UTC", view.Summary)
		assert.Equal(c, []string{
			"Receiver | Topic | Lag | Age | Deliveries | Open | Parked | Acked ID",
			"billing | orders | 12,345,677 | 1d4h | 1,200 | 0 | 0 | 1",
			"run 17 | orders | 4 | 1m30s | 0 | 0 | 0 | –",
			image + " | " + script + " | 9 | 3s | 1 | 1 | 0 | –",
			"printer ephemeral | mail | 0 | – | – | 1 | 1 | 5",
			"archive | quiet | 0 | – | – | 0 | 0 | –",
			wide + " | quiet | 0 | – | – | 1 | 0 | –",
			"Topic | Largest lag | Age | Sent | Retained | First ID | Last ID",
			"orders | 12,345,677 | 1d4h | 23,456,789 | 12,345,678 | 1 | 12,345,678",
			script + " | 9 | 3s | 9 | 9 | 6 | 14",
			"mail | 0 | – | 12 | 1 | 5 | 5",
			"quiet | 0 | – | 0 | 0 | – | –",
		}, view.Rows)
		assert.Equal(c, "memstreamer", view.Title)
		assert.Zero(c, view.Active)
		assert.Equal(c, "right tabular-nums", view.Numbers, "is its own style in use?")
	})

	// Nobody but the page itself loads it again.
	stats := busy()
	stats.Receivers[2].Lag, stats.Receivers[2].OldestUnacked = 1, now.Add(-time.Second)
	show(stats)
	b.eventually(func(c *assert.CollectT) {
		assert.Equal(c, []string{
			"billing | orders | 1 | 1s | 1,200 | 0 | 0 | 1",
			"run 17 | orders | 4 | 1m30s | 0 | 0 | 0 | –",
			image + " | " + script + " | 9 | 3s | 1 | 1 | 0 | –",
		}, b.view(c).Rows[1:4])
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

// A phone shows the columns that explain a stuck step, below names as wide as it is.
func TestPageOnAPhone(t *testing.T) {
	b, _ := browseBusy(t)
	require.NoError(t, chromedp.Do(b.ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile)))
	b.eventually(func(c *assert.CollectT) {
		assert.Equal(c, []string{
			"Receiver | Lag | Age | Deliveries | Open",
			"billing orders | 12,345,677 | 1d4h | 1,200 | 0",
			"run 17 orders | 4 | 1m30s | 0 | 0",
			image + " " + script + " | 9 | 3s | 1 | 1",
			"printer ephemeral mail | 0 | – | – | 1",
			"archive quiet | 0 | – | – | 0",
			wide + " quiet | 0 | – | – | 1",
			"Topic | Largest lag | Age",
			"orders | 12,345,677 | 1d4h",
			script + " | 9 | 3s",
			"mail | 0 | –",
			"quiet | 0 | –",
		}, b.view(c).Rows)
		assert.Greater(c, eval[int](c, b, `document.querySelector(".receivers td").clientWidth`), 350)
	})
}

func TestPageOfReceiversInUse(t *testing.T) {
	b, show := browseBusy(t)
	const unused = "run 17 | orders | 4 | 1m30s | 0 | 0 | 0 | –"
	b.follow("Show those in use.", "?inuse")
	b.eventually(func(c *assert.CollectT) {
		assert.NotContains(c, b.view(c).Rows, unused)
	})
	// It stays as it was asked for when it loads itself again.
	stats := busy()
	stats.Receivers[2].Deliveries++
	show(stats)
	b.eventually(func(c *assert.CollectT) {
		view := b.view(c)
		assert.Contains(c, view.Rows, "billing | orders | 12,345,677 | 1d4h | 1,201 | 0 | 0 | 1")
		assert.NotContains(c, view.Rows, unused)
	})
	b.follow("Show all.", "")
	b.eventually(func(c *assert.CollectT) {
		assert.Contains(c, b.view(c).Rows, unused)
	})
}

// Everything can be read, and what fails is unlike all else.
func TestPageInDarkAndLight(t *testing.T) {
	b, _ := browseBusy(t)
	background := map[string]float64{}
	for _, scheme := range []string{"light", "dark"} {
		require.NoError(t, b.setScheme(scheme))
		b.eventually(func(c *assert.CollectT) {
			style := func(selector, property string) string {
				return eval[string](c, b, fmt.Sprintf("getComputedStyle(document.querySelector(%q)).%s", selector, property))
			}
			back, failing := style("body", "backgroundColor"), style(".failing td", "backgroundColor")
			assert.NotEqual(c, back, failing)
			for selector, on := range map[string]string{
				"body": back, "p": back, "a": back, "th": back, "td": back, "i": back, "td.late": back, ".idle td": back,
				".failing td": failing, ".failing td.wide": failing, ".failing td.late": failing, ".failing span": failing,
			} {
				text, on := luminance(c, style(selector, "color")), luminance(c, on)
				contrast := (max(text, on) + 0.05) / (min(text, on) + 0.05)
				assert.Greater(c, contrast, 4.5, "%s, %s", selector, scheme)
			}
			background[scheme] = luminance(c, back)
		})
	}
	require.Less(t, background["dark"], 0.1)
	require.Greater(t, background["light"], 0.9)
}

// setScheme has the browser prefer light or dark.
func (b *browser) setScheme(scheme string) error {
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	return err
}

// luminance returns the relative luminance, as WCAG defines it, of a colour that
// getComputedStyle returned.
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
