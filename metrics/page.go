package metrics

import (
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"html/template"
	"io"
	"time"

	"github.com/dustin/go-humanize"
)

// refresh is how often the page loads itself again.
const refresh = 2 * time.Second

// maxRows is how many rows of each table the page shows at most. The worst come
// first, and nobody reads more.
const maxRows = 200

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"comma": humanize.Comma}).Parse(pageHTML))

	// contentSecurityPolicy lets a browser use the page's own style and nothing
	// else, in case a name is ever left unescaped. Images are allowed for the empty
	// icon, without which browsers ask for /favicon.ico.
	contentSecurityPolicy = "default-src 'none'; img-src data:; style-src 'sha256-" + sha256Base64(pageCSS) + "'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

func sha256Base64(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// page is what the template shows.
type page struct {
	CSS       template.CSS
	Refresh   int // seconds
	Time      time.Time
	InUseOnly bool
	Error     string // of Stats; there is nothing else to show then

	Receivers    []receiverRow
	AllReceivers int64 // also those past maxRows
	Open, Parked int64 // of all receivers
	Topics       []topicRow
	AllTopics    int64 // also those past maxRows
	Retained     int64 // of all topics
}

// MoreReceivers reports whether there are more than the page shows.
func (p page) MoreReceivers() bool { return int64(len(p.Receivers)) < p.AllReceivers }

// MoreTopics reports whether there are more than the page shows.
func (p page) MoreTopics() bool { return int64(len(p.Topics)) < p.AllTopics }

func writePage(w io.Writer, t tables, now time.Time, inUseOnly bool) error {
	p := page{
		CSS:          template.CSS(pageCSS),
		Refresh:      int(refresh.Seconds()),
		Time:         now.UTC(),
		InUseOnly:    inUseOnly,
		Error:        t.Error,
		Receivers:    t.Receivers[:min(len(t.Receivers), maxRows)],
		AllReceivers: int64(len(t.Receivers)),
		Topics:       t.Topics[:min(len(t.Topics), maxRows)],
		AllTopics:    int64(len(t.Topics)),
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
