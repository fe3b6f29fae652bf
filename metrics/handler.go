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
// receivers and its topics, oldest un-acked event first. It answers GET and HEAD
// with a page of HTML that refreshes itself every two seconds or, where the
// Accept header prefers application/json, with JSON:
//
//	{
//	  "receivers": [
//	    {
//	      "topic": "orders", "name": "billing", "open": 1, "parked": 0,
//	      "lag": 3, "oldest_unacked_seconds": 71.304, "deliveries": 2,
//	      "acked": 14, "acked_id": 14
//	    }
//	  ],
//	  "topics": [
//	    {
//	      "topic": "orders", "max_lag": 3, "oldest_unacked_seconds": 71.304,
//	      "sent": 17, "retained": 5, "first_id": 13, "last_id": 17
//	    }
//	  ]
//	}
//
// The fields are those of [memstreamer.Stats], with ages in place of times: see
// [NewCollector] for what an age is. A topic has the largest lag and age among
// its receivers. The page shows the first 200 rows of each table; JSON has them
// all. With ?open in the URL, names without an open receiver are left out of
// both tables.
//
// The page has no script, loads nothing from elsewhere, and forbids both to the
// browser. Bytes of a name that are not UTF-8 are spelled as \xNN. The handler
// asks for no password: who may reach it is up to the caller.
//
// NewHandler panics if the streamer, an option or a clock is nil.
func NewHandler(streamer Streamer, opts ...Option) http.Handler {
	return handler{resolve("NewHandler", streamer, opts)}
}

type handler struct {
	options options
}

// ServeHTTP implements [http.Handler].
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed: use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	openOnly := r.URL.Query().Has("open")
	stats, now := h.options.snapshot()
	t := newTables(stats, now, openOnly)
	// Make the whole answer before sending any of it, so that an error can still
	// set the status.
	var body bytes.Buffer
	mediaType := negotiate(r.Header.Values("Accept"))
	var err error
	if mediaType.EqualsMIME(mediaJSON) {
		err = json.NewEncoder(&body).Encode(t)
	} else {
		err = writePage(&body, t, now, openOnly)
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
	// An error means that the client is gone.
	_, _ = body.WriteTo(w)
}

// The charset matches clients that ask for it by name.
var (
	mediaHTML = contenttype.NewMediaType("text/html; charset=utf-8")
	mediaJSON = contenttype.NewMediaType("application/json; charset=utf-8")
)

// negotiate returns the media type that the lines of an Accept header prefer. It
// is HTML if they accept neither or both alike, or make no sense.
func negotiate(accept []string) contenttype.MediaType {
	mediaType, _, err := contenttype.GetAcceptableMediaTypeFromHeader(
		strings.Join(accept, ","), []contenttype.MediaType{mediaHTML, mediaJSON})
	if err != nil {
		return mediaHTML
	}
	return mediaType
}
