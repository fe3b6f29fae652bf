package chaos

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/metrics"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func stats(t testing.TB, s *jetstream.Streamer) memstreamer.Stats {
	t.Helper()
	got, err := s.Stats(t.Context())
	require.NoError(t, err)
	return got
}

func TestStats(t *testing.T) {
	here, there, js := startTwo(t)
	assert.Equal(t, memstreamer.Stats{Topics: []memstreamer.TopicStats{}, Receivers: []memstreamer.ReceiverStats{}}, stats(t, here))
	send(t, here, "b.topic", "1", "2", "3", "4")
	send(t, here, "a", "5")
	send(t, here, "b.topic", "6")
	var createdAt []time.Time
	for _, e := range receivedBy(t, here, "b.topic", "1", "2", "3", "4", "6") {
		createdAt = append(createdAt, e.CreatedAt)
	}
	require.Eventually(t, func() bool { return len(consumers(t, js)) == 0 }, patience, time.Millisecond)

	elsewhere := newReceiver(t, there, "b.topic", "elsewhere")
	receive(t, elsewhere, "1", "2")
	again := newReceiver(t, here, "b.topic", "again")
	receive(t, again, "1")
	for range 3 { // a step that fails
		recv(t, again, "2")
		require.NoError(t, again.Close())
		again = newReceiver(t, here, "b.topic", "again")
	}
	newReceiver(t, here, "b.topic", "again")
	recv(t, newReceiver(t, here, "b.topic", "\xff", memstreamer.Ephemeral(), memstreamer.StreamFromLast(time.Hour)), "1")
	start(t.Context(), newReceiver(t, here, "none", "waits"))
	parked(t, js, 1)
	_, err := js.CreateConsumer(t.Context(), streamName, natsjs.ConsumerConfig{Durable: "somebody-elses"})
	require.NoError(t, err)

	got := stats(t, here)
	assert.Equal(t, []memstreamer.TopicStats{
		{Topic: "a", Retained: 1, FirstID: 5, LastID: 5, Sent: 1},
		{Topic: "b.topic", Retained: 5, FirstID: 1, LastID: 6, Sent: 5},
		{Topic: "none"},
	}, got.Topics)
	assert.Equal(t, []memstreamer.ReceiverStats{
		{Topic: "b.topic", Name: "again", Open: 2, Lag: 4, AckedID: 1, OldestUnacked: createdAt[1], Deliveries: 3, Acked: 1},
		{Topic: "b.topic", Name: "elsewhere", Lag: 3, AckedID: 2, OldestUnacked: createdAt[2], Acked: 2},
		{Topic: "b.topic", Name: "\xff", Ephemeral: true, Open: 1, Lag: 5, OldestUnacked: createdAt[0], Deliveries: 1},
		{Topic: "none", Name: "waits", Open: 1, Parked: 1},
	}, got.Receivers)
	again = newReceiver(t, there, "b.topic", "again")
	receive(t, again, "2")
	after := stats(t, there).Receivers[0]
	assert.EqualValues(t, 2, after.AckedID)
	assert.Zero(t, after.Deliveries)
}

// Where the server deletes events, what is sent is not known, and an event that a
// consumer is at may be gone.
func TestStatsOfDeleted(t *testing.T) {
	s, _ := startStreamer(t, jetstream.WithMaxEvents(2))
	newReceiver(t, s, "topic", "name")
	send(t, s, "topic", "1", "2", "3")
	newest := receivedBy(t, s, "topic", "2", "3")
	got := stats(t, s)
	assert.Equal(t, []memstreamer.TopicStats{{Topic: "topic", Retained: 2, FirstID: 2, LastID: 3}}, got.Topics)
	assert.Equal(t, newest[0].CreatedAt, got.Receivers[0].OldestUnacked)
	assert.EqualValues(t, 2, got.Receivers[0].Lag)
}

// Stats of more consumers than the server lists at once.
func TestStatsPages(t *testing.T) {
	t.Parallel()
	const names = 300 // the server lists 256
	s, _ := startStreamer(t, jetstream.WithStorage(natsjs.MemoryStorage))
	long := strings.Repeat("long", 100)
	for n := range names {
		newReceiver(t, s, long, strings.Repeat("n", n+1))
	}
	got := stats(t, s).Receivers
	require.Equal(t, names, len(got))
	for n, r := range got {
		require.Equal(t, memstreamer.ReceiverStats{Topic: long, Name: strings.Repeat("n", n+1), Open: 1}, r)
	}
}

func TestStatsFails(t *testing.T) {
	js, l := startLine(t)
	s := newStreamer(t, js)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Stats(cancelled)
	require.Equal(t, context.Canceled, err)
	l.mute()
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ask := calls(nil, s, nil, nil)["Stats"]
	require.ErrorIs(t, within(t, func() error { return ask(brief) }), context.DeadlineExceeded)
	require.Error(t, within(t, func() error { return ask(t.Context()) }), "it is limited without a deadline")
	page := func(says string) {
		w := httptest.NewRecorder()
		metrics.NewHandler(s).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?json", nil))
		require.Contains(t, w.Body.String(), says)
	}
	page(`{"error":"memstreamer/jetstream: Stats: context deadline exceeded"`)
	l.speak()
	page(`{"receivers":[],"topics":[]}`)
	require.NoError(t, js.DeleteStream(t.Context(), streamName))
	_, err = s.Stats(t.Context())
	require.ErrorIs(t, err, natsjs.ErrStreamNotFound)
	require.NoError(t, s.Close())
	_, err = s.Stats(t.Context())
	require.ErrorIs(t, err, memstreamer.ErrClosed)
}
