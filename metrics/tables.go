package metrics

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/memstreamer/memstreamer"
)

// tables are a snapshot as it is shown.
type tables struct {
	Error     string        `json:"error,omitempty"` // of Stats
	Receivers []receiverRow `json:"receivers"`
	Topics    []topicRow    `json:"topics"`
}

type receiverRow struct {
	Topic      string `json:"topic"`
	Name       string `json:"name"`
	Ephemeral  bool   `json:"ephemeral"`
	Open       int64  `json:"open"`
	Parked     int64  `json:"parked"`
	Lag        int64  `json:"lag"`
	Age        age    `json:"oldest_unacked_seconds"`
	Deliveries int64  `json:"deliveries"`
	Acked      int64  `json:"acked"`
	AckedID    int64  `json:"acked_id"`
}

// Failing reports whether the oldest unacknowledged event was delivered again: each open
// receiver of the consumer may have been given it once.
func (r receiverRow) Failing() bool { return r.Deliveries > max(r.Open, 1) }

// Unserved reports whether events wait, and no receiver is open.
func (r receiverRow) Unserved() bool { return r.Open == 0 && (r.Failing() || r.Age.Late()) }

// Idle reports whether no receiver is open, and nothing is wrong with that.
func (r receiverRow) Idle() bool { return r.Open == 0 && !r.Unserved() }

// topicRow has the largest lag and age among the topic's consumers.
type topicRow struct {
	Topic    string `json:"topic"`
	Lag      int64  `json:"max_lag"`
	Age      age    `json:"oldest_unacked_seconds"`
	Sent     int64  `json:"sent"`
	Retained int64  `json:"retained"`
	FirstID  int64  `json:"first_id"`
	LastID   int64  `json:"last_id"`
}

// newTables returns the tables of stats at now, the worst first. With inUseOnly,
// consumers that are not in use are left out.
func newTables(stats memstreamer.Stats, now time.Time, inUseOnly bool) tables {
	t := tables{
		Receivers: make([]receiverRow, 0, len(stats.Receivers)),
		Topics:    make([]topicRow, 0, len(stats.Topics)),
	}
	worst := make(map[string]topicRow, len(stats.Topics))
	for _, r := range stats.Receivers {
		if inUseOnly && !inUse(r) {
			continue
		}
		row := receiverRow{
			Topic:      validUTF8(r.Topic),
			Name:       validUTF8(r.Name),
			Ephemeral:  r.Ephemeral,
			Open:       int64(r.Open),
			Parked:     int64(r.Parked),
			Lag:        r.Lag,
			Age:        age(ageOf(r, now)),
			Deliveries: r.Deliveries,
			Acked:      r.Acked,
			AckedID:    r.AckedID,
		}
		t.Receivers = append(t.Receivers, row)
		w := worst[r.Topic]
		worst[r.Topic] = topicRow{Lag: max(w.Lag, row.Lag), Age: max(w.Age, row.Age)}
	}
	for _, topic := range stats.Topics {
		t.Topics = append(t.Topics, topicRow{
			Topic:    validUTF8(topic.Topic),
			Lag:      worst[topic.Topic].Lag,
			Age:      worst[topic.Topic].Age,
			Sent:     topic.Sent,
			Retained: int64(topic.Retained),
			FirstID:  topic.FirstID,
			LastID:   topic.LastID,
		})
	}
	slices.SortFunc(t.Receivers, compareReceivers)
	// Stable: those that are as old and as far behind stay sorted by name.
	slices.SortStableFunc(t.Topics, func(a, b topicRow) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(b.Lag, a.Lag))
	})
	return t
}

// compareReceivers sorts the worst first, and then by all that tells two ephemeral
// receivers of one name apart on the page, so that they keep their places.
func compareReceivers(a, b receiverRow) int {
	return cmp.Or(
		trueFirst(a.Failing(), b.Failing()),
		cmp.Compare(b.Age, a.Age),
		cmp.Compare(b.Lag, a.Lag),
		cmp.Compare(a.Topic, b.Topic),
		cmp.Compare(a.Name, b.Name),
		trueFirst(!a.Ephemeral, !b.Ephemeral),
		cmp.Compare(b.Deliveries, a.Deliveries),
		cmp.Compare(b.Parked, a.Parked),
		cmp.Compare(b.AckedID, a.AckedID),
	)
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// age is the age of the oldest unacknowledged event, or 0.
type age time.Duration

// Late reports whether the event waits for longer than one in transit does.
func (a age) Late() bool { return a >= age(time.Second) }

// String returns the age to about two figures, rounded down: 4s, 3m20s, 2h5m,
// 1d4h.
func (a age) String() string {
	d, unit := time.Duration(a), time.Second
	switch {
	case d >= 24*time.Hour:
		unit = time.Hour
	case d >= time.Hour:
		unit = time.Minute
	}
	return model.Duration(d.Truncate(unit)).String()
}

// MarshalJSON returns the age in seconds, to the millisecond.
func (a age) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(a).Round(time.Millisecond).Seconds())
}
