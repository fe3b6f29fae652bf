package metrics

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/elnormous/contenttype"
)

// NewHandler returns a handler that shows two tables of a streamer, its
// receivers and its topics, the largest lag first. It answers GET and HEAD with
// a page of HTML that refreshes itself every two seconds or, where the Accept
// header prefers application/json, with JSON:
//
//	{
//	  "receivers": [
//	    {"topic": "orders", "name": "billing", "open": 1, "parked": 0, "lag": 3, "acked_id": 14}
//	  ],
//	  "topics": [
//	    {"topic": "orders", "retained": 5, "first_id": 12, "last_id": 17, "max_lag": 3}
//	  ]
//	}
//
// The fields are those of [memstreamer.Stats], and max_lag is the largest lag
// of the topic's receivers. The page shows the first 200 rows of each table;
// JSON has them all. With ?open in the URL, names without an open receiver are
// left out of both, and of max_lag.
//
// The page has no script, asks for nothing from elsewhere, and forbids both to
// the browser. Bytes of a name that are not UTF-8 are spelled as \xNN. Who may
// see it is for the caller to decide: the handler asks nobody for a password.
//
// NewHandler panics for a streamer that is nil.
func NewHandler(streamer Streamer) http.Handler {
	if streamer == nil {
		panic("metrics: NewHandler: streamer is nil")
	}
	return &handler{streamer: streamer}
}

type handler struct {
	streamer Streamer
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed: use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	openOnly := r.URL.Query().Has("open")
	t := newTables(h.streamer.Stats(), openOnly)
	// The whole answer is made before any of it is sent, so that an error can
	// still have its status.
	var body bytes.Buffer
	mediaType := negotiate(r.Header.Values("Accept"))
	var err error
	if mediaType.EqualsMIME(mediaJSON) {
		err = json.NewEncoder(&body).Encode(t)
	} else {
		err = writePage(&body, t, openOnly)
	}
	if err != nil {
		http.Error(w, "metrics: "+err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", mediaType.MIME()+"; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept")
	// A client that is gone needs no answer.
	_, _ = body.WriteTo(w)
}

// The charset is there for clients that ask for JSON in it.
var (
	mediaHTML = contenttype.NewMediaType("text/html; charset=utf-8")
	mediaJSON = contenttype.NewMediaType("application/json; charset=utf-8")
)

// negotiate chooses by the lines of an Accept header: HTML where that wants
// neither of the two, or both alike, or makes no sense.
func negotiate(accept []string) contenttype.MediaType {
	mediaType, _, err := contenttype.GetAcceptableMediaTypeFromHeader(
		strings.Join(accept, ","), []contenttype.MediaType{mediaHTML, mediaJSON})
	if err != nil {
		return mediaHTML
	}
	return mediaType
}
