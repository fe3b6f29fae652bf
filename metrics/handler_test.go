package metrics_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/metrics"
)

// get asks for target, with the lines of an Accept header.
func get(t testing.TB, s metrics.Streamer, target string, accept ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header["Accept"] = accept
	w := httptest.NewRecorder()
	metrics.NewHandler(s).ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, response *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(b)
}

func TestJSON(t *testing.T) {
	response := get(t, busy(t), "/debug/streamer", "application/json")
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.JSONEq(t, `{
		"receivers": [
			{"topic": "orders", "name": "run 17",  "open": 0, "parked": 0, "lag": 4, "acked_id": 0},
			{"topic": "orders", "name": "billing", "open": 2, "parked": 0, "lag": 3, "acked_id": 1},
			{"topic": "mail",   "name": "printer", "open": 1, "parked": 1, "lag": 0, "acked_id": 5},
			{"topic": "quiet",  "name": "archive", "open": 1, "parked": 0, "lag": 0, "acked_id": 0}
		],
		"topics": [
			{"topic": "orders", "retained": 4, "first_id": 1, "last_id": 4, "max_lag": 4},
			{"topic": "mail",   "retained": 1, "first_id": 5, "last_id": 5, "max_lag": 0},
			{"topic": "quiet",  "retained": 0, "first_id": 0, "last_id": 0, "max_lag": 0}
		]
	}`, body(t, response))
}

func TestJSONOfOpenReceivers(t *testing.T) {
	require.JSONEq(t, `{
		"receivers": [
			{"topic": "orders", "name": "billing", "open": 2, "parked": 0, "lag": 3, "acked_id": 1},
			{"topic": "mail",   "name": "printer", "open": 1, "parked": 1, "lag": 0, "acked_id": 5},
			{"topic": "quiet",  "name": "archive", "open": 1, "parked": 0, "lag": 0, "acked_id": 0}
		],
		"topics": [
			{"topic": "orders", "retained": 4, "first_id": 1, "last_id": 4, "max_lag": 3},
			{"topic": "mail",   "retained": 1, "first_id": 5, "last_id": 5, "max_lag": 0},
			{"topic": "quiet",  "retained": 0, "first_id": 0, "last_id": 0, "max_lag": 0}
		]
	}`, body(t, get(t, busy(t), "/debug/streamer?open", "application/json")))
}

func TestJSONOfAnEmptyStreamer(t *testing.T) {
	for _, s := range []metrics.Streamer{memstreamer.New(), fixed{}} {
		require.Equal(t, `{"receivers":[],"topics":[]}`+"\n", body(t, get(t, s, "/", "application/json")))
	}
}

func TestJSONWithNamesThatAreNotUTF8(t *testing.T) {
	s := memstreamer.New()
	open(t, s, "a\xff", "\xc3(<b>")
	require.JSONEq(t, `{
		"receivers": [{"topic": "a\\xff", "name": "\\xc3(<b>", "open": 1, "parked": 0, "lag": 0, "acked_id": 0}],
		"topics": [{"topic": "a\\xff", "retained": 0, "first_id": 0, "last_id": 0, "max_lag": 0}]
	}`, body(t, get(t, s, "/", "application/json")))
}

func TestNegotiation(t *testing.T) {
	const html, json = "text/html; charset=utf-8", "application/json; charset=utf-8"
	for _, test := range []struct {
		accept []string
		want   string
	}{
		{nil, html},
		{[]string{""}, html},
		{[]string{"*/*"}, html},
		{[]string{"text/*"}, html},
		{[]string{"image/png"}, html},
		{[]string{"nonsense;;"}, html},
		{[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}, html},
		{[]string{"application/json;q=0.5, text/html"}, html},
		{[]string{"application/json;q=0, */*"}, html},
		{[]string{"application/json-seq"}, html},
		{[]string{"application/json"}, json},
		{[]string{"Application/JSON"}, json},
		{[]string{"application/*"}, json},
		{[]string{"application/json, */*"}, json},
		{[]string{"application/json; charset=utf-8"}, json},
		{[]string{"text/html;q=0.5, application/json;q=0.6"}, json},
		{[]string{"text/html;q=0, */*;q=0.1"}, json},
		{[]string{"text/plain", "application/json"}, json},
	} {
		t.Run(fmt.Sprintf("%q", test.accept), func(t *testing.T) {
			response := get(t, memstreamer.New(), "/", test.accept...)
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Equal(t, test.want, response.Header.Get("Content-Type"))
			require.Equal(t, "Accept", response.Header.Get("Vary"))
			require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
			require.Equal(t, test.want == json, strings.HasPrefix(body(t, response), "{"))
		})
	}
}

func TestMethods(t *testing.T) {
	server := httptest.NewServer(metrics.NewHandler(busy(t)))
	defer server.Close()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
		t.Run(method, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
			require.NoError(t, err)
			response, err := server.Client().Do(request)
			require.NoError(t, err)
			defer response.Body.Close()
			content := body(t, response)
			switch method {
			case "GET":
				require.Equal(t, http.StatusOK, response.StatusCode)
				require.EqualValues(t, len(content), response.ContentLength)
				require.NotEmpty(t, content)
			case "HEAD":
				require.Equal(t, http.StatusOK, response.StatusCode)
				require.Positive(t, response.ContentLength)
				require.Empty(t, content)
			default:
				require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
				require.Equal(t, "GET, HEAD", response.Header.Get("Allow"))
			}
		})
	}
}

func TestPageEscapesNames(t *testing.T) {
	s := memstreamer.New()
	open(t, s, `<script>alert("topic")</script>`, `"><img src=x onerror=alert(1)>`)
	page := body(t, get(t, s, "/"))
	require.Contains(t, page, "<td>&lt;script&gt;alert(&#34;topic&#34;)&lt;/script&gt;</td>")
	require.Contains(t, page, "<td>&#34;&gt;&lt;img src=x onerror=alert(1)&gt;</td>")
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, "<img")
}

func TestPageOfAnEmptyStreamer(t *testing.T) {
	page := body(t, get(t, memstreamer.New(), "/"))
	require.Contains(t, page, "No receivers.")
	require.Contains(t, page, "No topics.")
	require.NotContains(t, page, "<table>")
}

// many is a streamer with n receivers, each on a topic of its own and further
// behind than the one before.
func many(n int) metrics.Streamer {
	var s fixed
	for i := range n {
		topic := fmt.Sprintf("topic %05d", i)
		s.Topics = append(s.Topics, memstreamer.TopicStats{Topic: topic, Retained: n, FirstID: 1, LastID: int64(n)})
		s.Receivers = append(s.Receivers, memstreamer.ReceiverStats{Topic: topic, Name: "step", Open: 1, Lag: int64(i)})
	}
	return s
}

func TestPageShowsTheFirstRowsOfMany(t *testing.T) {
	page := body(t, get(t, many(10_000), "/"))
	require.Equal(t, 2*(1+200), strings.Count(page, "<tr>"))
	require.Contains(t, page, "These 200 of 10000 are the furthest behind")
	require.Contains(t, page, "In these 200 of 10000 a receiver is the furthest behind")
	require.Equal(t, 2, strings.Count(page, "<td>topic 09999</td>"))
	require.Equal(t, 2, strings.Count(page, "<td>topic 09800</td>"))
	require.NotContains(t, page, "<td>topic 09799</td>")
	require.Contains(t, page, "Open receivers: 10000 ·")

	page = body(t, get(t, many(200), "/"))
	require.Equal(t, 2*(1+200), strings.Count(page, "<tr>"))
	require.NotContains(t, page, "furthest behind")

	require.Equal(t, 10_000, strings.Count(body(t, get(t, many(10_000), "/", "application/json")), `"max_lag"`))
}

func TestNewHandlerRefusesNil(t *testing.T) {
	require.PanicsWithValue(t, "metrics: NewHandler: streamer is nil", func() { metrics.NewHandler(nil) })
}

func BenchmarkPage(b *testing.B) {
	handler := metrics.NewHandler(many(10_000))
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
}
