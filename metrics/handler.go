package metrics

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// NewHandler returns a handler that shows two tables of a streamer, its consumers
// and its topics. It answers GET and HEAD with a page of HTML that refreshes itself
// every two seconds or, with ?json in the URL, with JSON:
//
//	{
//	  "receivers": [
//	    {
//	      "topic": "orders", "name": "billing", "ephemeral": false,
//	      "open": 1, "parked": 0, "lag": 3, "oldest_unacked_seconds": 71.304,
//	      "deliveries": 2, "acked": 14, "acked_id": 14
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
// [NewCollector] for what an age is. A topic has the largest lag and age among its
// consumers. Failing consumers come first: those whose oldest unacknowledged event was
// delivered more often than receivers are open. Otherwise the oldest event comes first,
// in both tables. The page shows the first 200 rows of each; JSON has
// them all.
//
// With ?inuse, consumers are left out that have no open receiver, unless they were
// given an event that they have not acked.
//
// If Stats fails, or takes a context and more than 5 seconds, the answer has status 503
// and says what is wrong, in JSON as "error". The page goes on refreshing itself.
//
// The page has no script and loads nothing from elsewhere; its headers forbid both.
// Bytes of a name that are not UTF-8 are spelled as \xNN. The handler does not
// authenticate: restrict access to it yourself.
//
// NewHandler panics if the streamer has no Stats, or if it, an option or a clock is nil.
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
	query := r.URL.Query()
	inUseOnly := query.Has("inuse")
	stats, now, failed := h.options.snapshot(r.Context())
	t := newTables(stats, now, inUseOnly)
	status := http.StatusOK
	if failed != nil {
		status, t.Error = http.StatusServiceUnavailable, failed.Error()
	}
	// Make the whole answer before sending any of it, so that an error can still
	// set the status.
	var body bytes.Buffer
	contentType := "text/html; charset=utf-8"
	var err error
	if query.Has("json") {
		contentType = "application/json"
		err = json.NewEncoder(&body).Encode(t)
	} else {
		err = writePage(&body, t, now, inUseOnly)
	}
	if err != nil {
		http.Error(w, "metrics: "+err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// An error means that the client is gone.
	_, _ = body.WriteTo(w)
}
