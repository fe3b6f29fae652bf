package metrics

import (
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"html/template"
	"io"
	"time"
)

// refresh is how often the page loads itself again.
const refresh = 2 * time.Second

// maxRows is how many rows of each table the page shows at most: who is behind
// comes first, and nobody reads more than that.
const maxRows = 200

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))

	// contentSecurityPolicy lets a browser use the page's own style and nothing
	// else, should a name ever find its way out of the escaping. The image is
	// the empty icon without which browsers ask for /favicon.ico.
	contentSecurityPolicy = "default-src 'none'; img-src data:; style-src 'sha256-" + sha256Base64(pageCSS) + "'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

func sha256Base64(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// page is what the template shows.
type page struct {
	CSS      template.CSS
	Refresh  int // seconds
	Time     time.Time
	OpenOnly bool

	Receivers    []receiverRow
	AllReceivers int // also those past maxRows
	Open, Parked int // of all receivers
	Topics       []topicRow
	AllTopics    int
	Retained     int // of all topics
}

func writePage(w io.Writer, t tables, openOnly bool) error {
	p := page{
		CSS:          template.CSS(pageCSS),
		Refresh:      int(refresh.Seconds()),
		Time:         time.Now().UTC(),
		OpenOnly:     openOnly,
		Receivers:    t.Receivers[:min(len(t.Receivers), maxRows)],
		AllReceivers: len(t.Receivers),
		Topics:       t.Topics[:min(len(t.Topics), maxRows)],
		AllTopics:    len(t.Topics),
	}
	for _, r := range t.Receivers {
		p.Open += r.Open
		p.Parked += r.Parked
	}
	for _, topic := range t.Topics {
		p.Retained += topic.Retained
	}
	return pageTemplate.Execute(w, p)
}
