package metrics_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// snapshot is a Streamer at one moment.
type snapshot memstreamer.Stats

func (s snapshot) Stats() memstreamer.Stats { return memstreamer.Stats(s) }

// stopped is a memstreamer.Clock that stands still.
type stopped time.Time

func (s stopped) Now() time.Time { return time.Time(s) }

// now is the time of all tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// busy is a streamer with something of everything: a receiver that is parked, a
// step that fails, a consumer without a receiver, an ephemeral one, and a topic
// without events.
var busy = snapshot{
	Topics: []memstreamer.TopicStats{
		{Topic: "mail", Retained: 1, FirstID: 1000005, LastID: 1000005, Sent: 6},
		{Topic: "orders", Retained: 4, FirstID: 1, LastID: 4, Sent: 1234567},
		{Topic: "quiet"},
	},
	Receivers: []memstreamer.ReceiverStats{
		{Topic: "mail", Name: "printer", Open: 1, Parked: 1, Acked: 6, AckedID: 1000005},
		{Topic: "orders", Name: "billing", Open: 2, Lag: 3, OldestUnacked: now.Add(-90123456 * time.Microsecond), Deliveries: 12, Acked: 1, AckedID: 1},
		{Topic: "orders", Name: "run 17", Lag: 4, OldestUnacked: now.Add(-91 * time.Second)},
		{Topic: "orders", Name: "shipping", Ephemeral: true, Open: 1, Lag: 1, OldestUnacked: now.Add(-5 * time.Second), Deliveries: 1, Acked: 3, AckedID: 3},
		{Topic: "quiet", Name: "archive", Open: 1},
	},
}
