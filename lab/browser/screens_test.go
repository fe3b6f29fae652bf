package browser

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

var pictures = flag.String("pictures", "", "a directory to write what TestScreens sees to; metrics/streamer.png is its shop-1280-light.png")

// screens are what the page has to show on any screen.
var screens = map[string]memstreamer.Stats{
	"none": {},
	"one": {
		Topics:    []memstreamer.TopicStats{{Topic: "orders", Retained: 3, FirstID: 1, LastID: 3, Sent: 3}},
		Receivers: []memstreamer.ReceiverStats{{Topic: "orders", Name: "billing", Open: 1, Parked: 1, Acked: 3, AckedID: 3}},
	},
	"shop": shop(),
	"many": many(300),
	"long": long(200),
}

// shop is a workflow whose step ship fails, and whose step charge is slow.
func shop() (s memstreamer.Stats) {
	topic := func(name string) string { return "fulfilment-" + name }
	for i, name := range []string{"placed", "confirmed", "reserved", "charged", "picked", "packed", "shipped", "delivered"} {
		s.Topics = append(s.Topics, memstreamer.TopicStats{
			Topic: topic(name), Retained: 1500 - 5*i, FirstID: int64(8085 + i), LastID: int64(19053 - i), Sent: int64(2511 - 16*i)})
	}
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	s.Receivers = []memstreamer.ReceiverStats{
		{Topic: topic("placed"), Name: "confirm", Open: 1, Parked: 1, Acked: 2511, AckedID: 19053},
		{Topic: topic("confirmed"), Name: "reserve", Open: 1, Parked: 1, Acked: 2495, AckedID: 19052},
		{Topic: topic("reserved"), Name: "charge", Open: 1, Lag: 163, OldestUnacked: ago(72 * time.Second), Deliveries: 1, Acked: 2316, AckedID: 18385},
		{Topic: topic("charged"), Name: "pick", Open: 1, Lag: 2, OldestUnacked: ago(40 * time.Millisecond), Deliveries: 1, Acked: 2461, AckedID: 19048},
		{Topic: topic("picked"), Name: "pack", Open: 1, Parked: 1, Acked: 2447, AckedID: 19049},
		{Topic: topic("packed"), Name: "ship", Lag: 64, OldestUnacked: ago(34 * time.Second), Deliveries: 17, Acked: 2367, AckedID: 18197},
		{Topic: topic("shipped"), Name: "deliver", Open: 1, Parked: 1, Acked: 2415, AckedID: 19047},
		{Topic: topic("delivered"), Name: "await", Ephemeral: true, Open: 1, Parked: 1, Acked: 1, AckedID: 19046},
		{Topic: topic("delivered"), Name: "await", Ephemeral: true, Open: 1, Parked: 1},
		{Topic: topic("delivered"), Name: "finish", Open: 1, Parked: 1, Acked: 2399, AckedID: 19046},
		{Topic: topic("delivered"), Name: "report", Acked: 2399, AckedID: 19046},
	}
	return s
}

// many is a streamer with n receivers, of which some are slow and a few fail.
func many(n int) (s memstreamer.Stats) {
	for i := range n {
		topic := fmt.Sprintf("orders-%03d-reserved", i)
		r := memstreamer.ReceiverStats{Topic: topic, Name: fmt.Sprintf("orders-%03d-charge-consumer-1-of-1", i), Open: 1, Acked: 1234, AckedID: int64(12345678 - i)}
		if i%4 == 0 {
			r.Lag, r.OldestUnacked, r.Deliveries = int64(i)*1000, now.Add(-time.Duration(i)*time.Second), 1
		}
		if i%40 == 0 {
			r.Open, r.Deliveries = 0, int64(i)
		}
		s.Receivers = append(s.Receivers, r)
		s.Topics = append(s.Topics, memstreamer.TopicStats{Topic: topic, Retained: 1000, FirstID: int64(1 + i), LastID: int64(12345678 + i), Sent: 1234567})
	}
	return s
}

// long has names of n characters: one that can be broken where a person would, of a
// receiver that is behind, and one that cannot, of one that fails.
func long(n int) (s memstreamer.Stats) {
	for i, name := range []string{strings.Repeat("orders-", n)[:n], strings.Repeat("W", n)} {
		s.Topics = append(s.Topics, memstreamer.TopicStats{Topic: name, Retained: 12345678, FirstID: 12345678, LastID: 24691356, Sent: 123456789})
		s.Receivers = append(s.Receivers, memstreamer.ReceiverStats{Topic: name, Name: name, Open: 1 - i, Ephemeral: i == 0,
			Lag: 12345678, OldestUnacked: now.Add(-28 * time.Hour), Deliveries: int64(i) * 1234567, Acked: 12345678, AckedID: 12345678})
	}
	return s
}

// TestScreens sees the page as a person does, on a desk and on phones, in light and
// dark: nothing has to be scrolled to sideways, and no cell is cut.
func TestScreens(t *testing.T) {
	b, show := browseBusy(t)
	for name, stats := range screens {
		show(stats)
		for _, width := range []int64{1280, 390, 320} {
			for _, scheme := range []string{"light", "dark"} {
				picture := fmt.Sprintf("%s-%d-%s.png", name, width, scheme)
				require.NoError(t, b.setScheme(scheme))
				require.NoError(t, chromedp.Do(b.ctx, chromedp.EmulateViewport(width, 844, chromedp.EmulateMobile)))
				b.eventually(func(c *assert.CollectT) {
					require.NoError(c, chromedp.Do(b.ctx, chromedp.Navigate(b.url)))
					assert.Equal(c, min(len(stats.Receivers), 200), eval[int](c, b, `document.querySelectorAll(".receivers tbody tr").length`), picture)
					assert.Equal(c, width, eval[int64](c, b, "document.documentElement.scrollWidth"), picture)
					cut := eval[[]string](c, b, `[...document.querySelectorAll("th, td")].filter(cell => cell.scrollWidth > cell.clientWidth).map(cell => cell.innerText)`)
					assert.Empty(c, cut, picture)
				})
				if *pictures == "" {
					continue
				}
				take := chromedp.FullScreenshot(100)
				if len(stats.Receivers) > 100 {
					take = chromedp.CaptureScreenshot() // all of it takes minutes
				}
				png, err := chromedp.Run(b.ctx, take)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(*pictures, picture), png, 0o644))
			}
		}
	}
}
