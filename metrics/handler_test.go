package metrics_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/metrics"
)

// get returns what is answered to a GET of target.
func get(t testing.TB, s metrics.Streamer, target string) string {
	t.Helper()
	w := httptest.NewRecorder()
	metrics.NewHandler(s, metrics.WithClock(stopped(now))).ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}

func TestJSON(t *testing.T) {
	require.JSONEq(t, `{
		"receivers": [
			{"topic": "orders", "name": "billing",  "ephemeral": false, "open": 2, "parked": 0, "lag": 3, "oldest_unacked_seconds": 90.123, "deliveries": 12, "acked": 1, "acked_id": 1},
			{"topic": "orders", "name": "run 17",   "ephemeral": false, "open": 0, "parked": 0, "lag": 4, "oldest_unacked_seconds": 91,     "deliveries": 0,  "acked": 0, "acked_id": 0},
			{"topic": "orders", "name": "shipping", "ephemeral": true,  "open": 1, "parked": 0, "lag": 1, "oldest_unacked_seconds": 5,      "deliveries": 1,  "acked": 3, "acked_id": 3},
			{"topic": "mail",   "name": "printer",  "ephemeral": false, "open": 1, "parked": 1, "lag": 0, "oldest_unacked_seconds": 0,      "deliveries": 0,  "acked": 6, "acked_id": 1000005},
			{"topic": "quiet",  "name": "archive",  "ephemeral": false, "open": 1, "parked": 0, "lag": 0, "oldest_unacked_seconds": 0,      "deliveries": 0,  "acked": 0, "acked_id": 0}
		],
		"topics": [
			{"topic": "orders", "max_lag": 4, "oldest_unacked_seconds": 91, "sent": 1234567, "retained": 4, "first_id": 1, "last_id": 4},
			{"topic": "mail",   "max_lag": 0, "oldest_unacked_seconds": 0,  "sent": 6, "retained": 1, "first_id": 1000005, "last_id": 1000005},
			{"topic": "quiet",  "max_lag": 0, "oldest_unacked_seconds": 0,  "sent": 0, "retained": 0, "first_id": 0, "last_id": 0}
		]
	}`, get(t, busy, "/debug/streamer?json"))
}

// A step between two attempts has no open receiver, and is in use.
func TestInUse(t *testing.T) {
	s := snapshot(busy.Stats())
	s.Receivers = slices.Clone(s.Receivers)
	s.Receivers[1].Open = 0
	response := get(t, s, "/debug/streamer?inuse&json")
	require.NotContains(t, response, "run 17")
	require.Contains(t, response, "billing")
	require.Contains(t, response, `"topics":[{"topic":"orders","max_lag":3,"oldest_unacked_seconds":90.123,`)
	for target, says := range map[string]string{
		"/":       `<a href="?inuse">Show those in use.</a> <a href="?json">JSON.</a>`,
		"/?inuse": `Those in use. <a href="?">Show all.</a> <a href="?inuse&amp;json">JSON.</a>`,
	} {
		page := get(t, s, target)
		require.Contains(t, page, says)
		require.Equal(t, target == "/", strings.Contains(page, "run 17"))
	}
}

// Failing receivers come first, then the oldest event not acked, then the largest
// lag, then the name. An event from the clock's future, or without CreatedAt, has no
// age.
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
		row("failing", 1, now.Add(-time.Second)),
	}}
	s.Receivers[7].Deliveries = 2
	for _, r := range s.Receivers {
		s.Topics = append(s.Topics, memstreamer.TopicStats{Topic: r.Topic})
	}
	receivers, topics, _ := strings.Cut(get(t, s, "/"), "<h2>Topics</h2>")
	require.Equal(t,
		[]string{"failing", "old and behind", "old", "young", "undated", "future", "idle 1", "idle 2"},
		firstCells(receivers, `<td>([^<]+) <span`))
	require.Equal(t,
		[]string{"old and behind", "old", "young", "failing", "undated", "future", "idle 1", "idle 2"},
		firstCells(topics, `<td>topic of ([^<]+)</td>`))
}

// What looks like what: a row, and its figures.
func TestHowRowsLook(t *testing.T) {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, test := range map[string]struct {
		of   memstreamer.ReceiverStats
		want string
	}{
		"nothing waits":                {memstreamer.ReceiverStats{Open: 1}, "lag 0, age –, deliveries –, open 1"},
		"closed":                       {memstreamer.ReceiverStats{}, "idle: lag 0, age –, deliveries –, open 0"},
		"in transit":                   {memstreamer.ReceiverStats{Open: 1, Lag: 9, OldestUnacked: ago(999 * time.Millisecond), Deliveries: 1}, "lag 9, age 0s, deliveries 1, open 1"},
		"in transit to two":            {memstreamer.ReceiverStats{Open: 2, Lag: 9, OldestUnacked: ago(9 * time.Millisecond), Deliveries: 2}, "lag 9, age 0s, deliveries 2, open 2"},
		"in transit, and closed":       {memstreamer.ReceiverStats{Lag: 9, OldestUnacked: ago(9 * time.Millisecond)}, "idle: lag 9, age 0s, deliveries 0, open 0"},
		"undated":                      {memstreamer.ReceiverStats{Open: 1, Lag: 9, Deliveries: 1}, "lag 9, age –, deliveries 1, open 1"},
		"slow":                         {memstreamer.ReceiverStats{Open: 1, Lag: 9, OldestUnacked: ago(time.Second), Deliveries: 1}, "LAG 9, AGE 1s, deliveries 1, open 1"},
		"gone":                         {memstreamer.ReceiverStats{Lag: 9, OldestUnacked: ago(time.Second)}, "LAG 9, AGE 1s, deliveries 0, OPEN 0"},
		"failed once, and is to retry": {memstreamer.ReceiverStats{Lag: 9, OldestUnacked: ago(time.Second), Deliveries: 1}, "LAG 9, AGE 1s, deliveries 1, OPEN 0"},
		"fails":                        {memstreamer.ReceiverStats{Open: 1, Lag: 9, OldestUnacked: ago(time.Second), Deliveries: 2}, "failing: LAG 9, AGE 1s, DELIVERIES 2, open 1"},
		"fails at once":                {memstreamer.ReceiverStats{Lag: 9, OldestUnacked: ago(time.Millisecond), Deliveries: 2}, "failing: lag 9, age 0s, DELIVERIES 2, OPEN 0"},
		"fails, of two":                {memstreamer.ReceiverStats{Open: 2, Lag: 9, OldestUnacked: ago(time.Hour), Deliveries: 3}, "failing: LAG 9, AGE 1h, DELIVERIES 3, open 2"},
		"fails, and is to retry":       {memstreamer.ReceiverStats{Lag: 9, OldestUnacked: ago(time.Hour), Deliveries: 17}, "failing: LAG 9, AGE 1h, DELIVERIES 17, OPEN 0"},
	} {
		t.Run(name, func(t *testing.T) {
			row := regexp.MustCompile(`(?s)<tr(?: class="(.*?)")?>\n<td>.*?</tr>`).FindStringSubmatch(get(t, snapshot{Receivers: []memstreamer.ReceiverStats{test.of}}, "/"))
			require.NotNil(t, row)
			var figures []string
			for i, cell := range regexp.MustCompile(`<td class="number( late)?">(.*)</td>`).FindAllStringSubmatch(row[0], -1) {
				figure := []string{"lag", "age", "deliveries", "open"}[i]
				if cell[1] != "" {
					figure = strings.ToUpper(figure)
				}
				figures = append(figures, figure+" "+cell[2])
			}
			got := strings.Join(figures, ", ")
			if row[1] != "" {
				got = row[1] + ": " + got
			}
			require.Equal(t, test.want, got)
		})
	}
}

// Ephemeral receivers of one name are rows of their own, each at the same place
// whenever the page is loaded, though Stats does not order them.
func TestEphemeralRows(t *testing.T) {
	rows := []memstreamer.ReceiverStats{
		{Topic: "orders", Name: "billing", Open: 1, Parked: 1},
		{Topic: "orders", Name: "billing", Ephemeral: true, Open: 1, Parked: 1, AckedID: 7},
		{Topic: "orders", Name: "billing", Ephemeral: true, Open: 1, Parked: 1},
		{Topic: "orders", Name: "billing", Ephemeral: true, Open: 1, AckedID: 7},
		{Topic: "orders", Name: "billing", Ephemeral: true, Open: 1, Lag: 1, Deliveries: 1},
		{Topic: "orders", Name: "billing", Ephemeral: true, Open: 1, Lag: 1},
	}
	page := get(t, snapshot{Receivers: rows}, "/")
	require.Equal(t, 1, strings.Count(page, "<td>billing <span"))
	require.Equal(t, 5, strings.Count(page, "<td>billing <i>ephemeral</i> <span"))
	for range 20 {
		rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		require.Equal(t, page, get(t, snapshot{Receivers: rows}, "/"))
	}
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
			page := get(t, snapshot{Receivers: []memstreamer.ReceiverStats{{Topic: "orders", Name: "billing", Lag: 1, OldestUnacked: now.Add(-test.age)}}}, "/")
			require.Contains(t, page, ">"+test.want+"</td>\n"+`<td class="number">0</td>`)
		})
	}
}

// The URL and the method alone say what is answered.
func TestAnswers(t *testing.T) {
	for request, want := range map[string]string{
		"GET /":            "200 text/html; charset=utf-8",
		"HEAD /":           "200 text/html; charset=utf-8",
		"GET /?inuse":      "200 text/html; charset=utf-8",
		"GET /?json":       "200 application/json",
		"GET /?inuse&json": "200 application/json",
		"POST /":           "405 text/plain; charset=utf-8",
		"OPTIONS /":        "405 text/plain; charset=utf-8",
	} {
		method, target, _ := strings.Cut(request, " ")
		r := httptest.NewRequest(method, target, nil)
		r.Header.Set("Accept", "application/json, text/html")
		w := httptest.NewRecorder()
		metrics.NewHandler(busy).ServeHTTP(w, r)
		header := w.Result().Header
		require.Equal(t, want, fmt.Sprint(w.Code, " ", header.Get("Content-Type")), request)
		if w.Code != http.StatusOK {
			require.Equal(t, "GET, HEAD", header.Get("Allow"))
			continue
		}
		require.Equal(t, "no-store", header.Get("Cache-Control"))
		require.Empty(t, header.Get("Vary"))
		require.Equal(t, strconv.Itoa(w.Body.Len()), header.Get("Content-Length"))
		require.Equal(t, strings.HasSuffix(want, "json"), json.Valid(w.Body.Bytes()), request)
	}
}

func TestPageEscapesNames(t *testing.T) {
	const topic, name = `<script>alert("topic")</script>`, `"><img src=x onerror=alert(1)>`
	page := get(t, snapshot{
		Topics:    []memstreamer.TopicStats{{Topic: topic}},
		Receivers: []memstreamer.ReceiverStats{{Topic: topic, Name: name}},
	}, "/")
	require.Equal(t, 3, strings.Count(page, ">&lt;script&gt;alert(&#34;topic&#34;)&lt;/script&gt;<"))
	require.Contains(t, page, "<td>&#34;&gt;&lt;img src=x onerror=alert(1)&gt; <")
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, "<img")
}

func TestNamesThatAreNotUTF8(t *testing.T) {
	s := snapshot{
		Topics:    []memstreamer.TopicStats{{Topic: "a\xff"}},
		Receivers: []memstreamer.ReceiverStats{{Topic: "a\xff", Name: "\xc3(<b>", Lag: 3}},
	}
	response := get(t, s, "/?json")
	require.Contains(t, response, `{"topic":"a\\xff","name":"\\xc3(\u003cb\u003e"`)
	require.Contains(t, response, `{"topic":"a\\xff","max_lag":3`)
}

func TestEmptyStreamer(t *testing.T) {
	require.Equal(t, `{"receivers":[],"topics":[]}`+"\n", get(t, snapshot{}, "/?json"))
	page := get(t, memstreamer.New(), "/")
	require.Contains(t, page, "No receivers.")
	require.Contains(t, page, "No topics.")
	require.NotContains(t, page, "<table")
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
	page := get(t, many(10_000), "/")
	require.Equal(t, 2*(1+200), strings.Count(page, "<tr>"))
	require.Equal(t, 2, strings.Count(page, "These are 200 of 10,000; JSON has them all."))
	require.Equal(t, 3, strings.Count(page, ">topic 09999<"))
	require.Equal(t, 3, strings.Count(page, ">topic 09800<"))
	require.NotContains(t, page, "topic 09799")
	require.Contains(t, page, "Open receivers: 10,000 · parked in Recv: 0 · events kept: 100,000,000 ·")

	page = get(t, many(200), "/")
	require.Equal(t, 2*(1+200), strings.Count(page, "<tr>"))
	require.NotContains(t, page, "These are")

	require.Equal(t, 10_000, strings.Count(get(t, many(10_000), "/?json"), `"max_lag"`))
}
