package metrics_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

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
	metrics.NewHandler(s, metrics.WithClock(stopped(now))).ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, response *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(b)
}

func TestJSON(t *testing.T) {
	response := get(t, busy, "/debug/streamer", "application/json")
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.JSONEq(t, `{
		"receivers": [
			{"topic": "orders", "name": "run 17",   "open": 0, "parked": 0, "lag": 4, "oldest_unacked_seconds": 91,     "deliveries": 0,  "acked": 0, "acked_id": 0},
			{"topic": "orders", "name": "billing",  "open": 2, "parked": 0, "lag": 3, "oldest_unacked_seconds": 90.123, "deliveries": 12, "acked": 1, "acked_id": 1},
			{"topic": "orders", "name": "shipping", "open": 1, "parked": 0, "lag": 1, "oldest_unacked_seconds": 5,      "deliveries": 1,  "acked": 3, "acked_id": 3},
			{"topic": "mail",   "name": "printer",  "open": 1, "parked": 1, "lag": 0, "oldest_unacked_seconds": 0,      "deliveries": 0,  "acked": 6, "acked_id": 1000005},
			{"topic": "quiet",  "name": "archive",  "open": 1, "parked": 0, "lag": 0, "oldest_unacked_seconds": 0,      "deliveries": 0,  "acked": 0, "acked_id": 0}
		],
		"topics": [
			{"topic": "orders", "max_lag": 4, "oldest_unacked_seconds": 91, "sent": 1234567, "retained": 4, "first_id": 1, "last_id": 4},
			{"topic": "mail",   "max_lag": 0, "oldest_unacked_seconds": 0,  "sent": 6, "retained": 1, "first_id": 1000005, "last_id": 1000005},
			{"topic": "quiet",  "max_lag": 0, "oldest_unacked_seconds": 0,  "sent": 0, "retained": 0, "first_id": 0, "last_id": 0}
		]
	}`, body(t, response))
}

func TestJSONOfOpenReceivers(t *testing.T) {
	response := body(t, get(t, busy, "/debug/streamer?open", "application/json"))
	require.NotContains(t, response, "run 17")
	require.Contains(t, response, `"topics":[{"topic":"orders","max_lag":3,"oldest_unacked_seconds":90.123,`)
}

func TestJSONOfAnEmptyStreamer(t *testing.T) {
	for _, s := range []metrics.Streamer{memstreamer.New(), snapshot{}} {
		require.Equal(t, `{"receivers":[],"topics":[]}`+"\n", body(t, get(t, s, "/", "application/json")))
	}
}

func TestJSONWithNamesThatAreNotUTF8(t *testing.T) {
	response := body(t, get(t, snapshot{
		Topics:    []memstreamer.TopicStats{{Topic: "a\xff"}},
		Receivers: []memstreamer.ReceiverStats{{Topic: "a\xff", Name: "\xc3(<b>", Lag: 3}},
	}, "/", "application/json"))
	var names struct {
		Receivers []struct{ Topic, Name string }
		Topics    []struct {
			Topic string
			Lag   int64 `json:"max_lag"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(response), &names))
	require.Equal(t, `{[{a\xff \xc3(<b>}] [{a\xff 3}]}`, fmt.Sprint(names))
}

// The oldest un-acked event comes first, then the largest lag, then the name. An
// event from the clock's future, or without CreatedAt, has no age.
func TestOrderOfRows(t *testing.T) {
	row := func(name string, lag int64, oldest time.Time) memstreamer.ReceiverStats {
		return memstreamer.ReceiverStats{Topic: "topic of " + name, Name: name, Open: 1, Lag: lag, OldestUnacked: oldest}
	}
	s := snapshot{Receivers: []memstreamer.ReceiverStats{
		row("idle 1", 0, time.Time{}),
		row("idle 2", 0, time.Time{}),
		row("young", 90, now.Add(-time.Second)),
		row("old", 1, now.Add(-time.Hour)),
		row("old and behind", 2, now.Add(-time.Hour)),
		row("future", 7, now.Add(time.Hour)),
		row("undated", 8, time.Time{}),
	}}
	for _, r := range s.Receivers {
		s.Topics = append(s.Topics, memstreamer.TopicStats{Topic: r.Topic})
	}
	page := body(t, get(t, s, "/"))
	receivers, topics, _ := strings.Cut(page, "<h2>Topics</h2>")
	want := []string{"old and behind", "old", "young", "undated", "future", "idle 1", "idle 2"}
	require.Equal(t, want, firstCells(receivers, `<td>([^<]+)<span`))
	require.Equal(t, want, firstCells(topics, `<td>topic of ([^<]+)</td>`))
}

func firstCells(page, pattern string) (cells []string) {
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(page, -1) {
		cells = append(cells, match[1])
	}
	return cells
}

func TestAgesOnThePage(t *testing.T) {
	for _, test := range []struct {
		age  time.Duration
		want string
	}{
		{0, "–"},
		{time.Millisecond, "0s"},
		{59*time.Second + 999*time.Millisecond, "59s"},
		{time.Minute, "1m"},
		{59*time.Minute + 7*time.Second, "59m7s"},
		{2*time.Hour + 5*time.Minute + 59*time.Second, "2h5m"},
		{28*time.Hour + 59*time.Minute, "1d4h"},
		{400 * 24 * time.Hour, "400d"},
	} {
		t.Run(test.want, func(t *testing.T) {
			page := body(t, get(t, snapshot{Receivers: []memstreamer.ReceiverStats{{Topic: "orders", Name: "billing", Lag: 1, OldestUnacked: now.Add(-test.age)}}}, "/"))
			require.Contains(t, page, ">"+test.want+"</td>\n"+`<td class="number wide">0</td>`)
		})
	}
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
	server := httptest.NewServer(metrics.NewHandler(busy))
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
	const topic, name = `<script>alert("topic")</script>`, `"><img src=x onerror=alert(1)>`
	page := body(t, get(t, snapshot{
		Topics:    []memstreamer.TopicStats{{Topic: topic}},
		Receivers: []memstreamer.ReceiverStats{{Topic: topic, Name: name}},
	}, "/"))
	require.Equal(t, 3, strings.Count(page, ">&lt;script&gt;alert(&#34;topic&#34;)&lt;/script&gt;<"))
	require.Contains(t, page, "<td>&#34;&gt;&lt;img src=x onerror=alert(1)&gt;<")
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, "<img")
}

func TestPageOfAnEmptyStreamer(t *testing.T) {
	page := body(t, get(t, memstreamer.New(), "/"))
	require.Contains(t, page, "No receivers.")
	require.Contains(t, page, "No topics.")
	require.NotContains(t, page, "<table>")
}

// many is a streamer with n receivers, each on a topic of its own and waiting
// longer than the one before.
func many(n int) metrics.Streamer {
	var s snapshot
	for i := range n {
		topic := fmt.Sprintf("topic %05d", i)
		s.Topics = append(s.Topics, memstreamer.TopicStats{Topic: topic, Retained: n, FirstID: 1, LastID: int64(n)})
		s.Receivers = append(s.Receivers, memstreamer.ReceiverStats{
			Topic: topic, Name: "step", Open: 1, Lag: 1, OldestUnacked: now.Add(time.Duration(-i) * time.Second)})
	}
	return s
}

func TestPageShowsTheFirstRowsOfMany(t *testing.T) {
	page := body(t, get(t, many(10_000), "/"))
	require.Equal(t, 2*(1+200), strings.Count(page, "<tr>"))
	require.Equal(t, 2, strings.Count(page, "These are 200 of 10,000; JSON has them all."))
	require.Equal(t, 3, strings.Count(page, ">topic 09999<"))
	require.Equal(t, 3, strings.Count(page, ">topic 09800<"))
	require.NotContains(t, page, "topic 09799")
	require.Contains(t, page, "Open receivers: 10,000 · parked in Recv: 0 · events kept: 100,000,000 ·")

	page = body(t, get(t, many(200), "/"))
	require.Equal(t, 2*(1+200), strings.Count(page, "<tr>"))
	require.NotContains(t, page, "These are")

	require.Equal(t, 10_000, strings.Count(body(t, get(t, many(10_000), "/", "application/json")), `"max_lag"`))
}

func TestNewHandlerRefusesNil(t *testing.T) {
	require.PanicsWithValue(t, "metrics: NewHandler: streamer is nil", func() { metrics.NewHandler(nil) })
	require.PanicsWithValue(t, "metrics: NewHandler: option 1 of 1 is nil", func() { metrics.NewHandler(busy, nil) })
}

func BenchmarkPage(b *testing.B) {
	handler := metrics.NewHandler(many(10_000))
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
}
