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
	Receivers []receiverRow `json:"receivers"`
	Topics    []topicRow    `json:"topics"`
}

type receiverRow struct {
	Topic      string `json:"topic"`
	Name       string `json:"name"`
	Open       int64  `json:"open"`
	Parked     int64  `json:"parked"`
	Lag        int64  `json:"lag"`
	Age        age    `json:"oldest_unacked_seconds"`
	Deliveries int64  `json:"deliveries"`
	Acked      int64  `json:"acked"`
	AckedID    int64  `json:"acked_id"`
}

// topicRow has the largest lag and age among the topic's receivers.
type topicRow struct {
	Topic    string `json:"topic"`
	Lag      int64  `json:"max_lag"`
	Age      age    `json:"oldest_unacked_seconds"`
	Sent     int64  `json:"sent"`
	Retained int64  `json:"retained"`
	FirstID  int64  `json:"first_id"`
	LastID   int64  `json:"last_id"`
}

// newTables returns the tables of stats at now, oldest un-acked event first.
// With openOnly, names without an open receiver are left out.
func newTables(stats memstreamer.Stats, now time.Time, openOnly bool) tables {
	t := tables{
		Receivers: make([]receiverRow, 0, len(stats.Receivers)),
		Topics:    make([]topicRow, 0, len(stats.Topics)),
	}
	worst := make(map[string]topicRow, len(stats.Topics))
	for _, r := range stats.Receivers {
		if openOnly && r.Open == 0 {
			continue
		}
		row := receiverRow{
			Topic:      validUTF8(r.Topic),
			Name:       validUTF8(r.Name),
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
	// Stable: rows that are as old and as far behind stay sorted by name.
	slices.SortStableFunc(t.Receivers, func(a, b receiverRow) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(b.Lag, a.Lag))
	})
	slices.SortStableFunc(t.Topics, func(a, b topicRow) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(b.Lag, a.Lag))
	})
	return t
}

// age is the age of the oldest un-acked event, and 0 where there is none.
type age time.Duration

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
