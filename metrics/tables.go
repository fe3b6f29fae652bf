package metrics

import (
	"cmp"
	"slices"

	"github.com/memstreamer/memstreamer"
)

// tables are a snapshot as it is shown.
type tables struct {
	Receivers []receiverRow `json:"receivers"`
	Topics    []topicRow    `json:"topics"`
}

type receiverRow struct {
	Topic   string `json:"topic"`
	Name    string `json:"name"`
	Open    int    `json:"open"`
	Parked  int    `json:"parked"`
	Lag     int64  `json:"lag"`
	AckedID int64  `json:"acked_id"`
}

type topicRow struct {
	Topic    string `json:"topic"`
	Retained int    `json:"retained"`
	FirstID  int64  `json:"first_id"`
	LastID   int64  `json:"last_id"`
	MaxLag   int64  `json:"max_lag"`
}

// newTables returns the tables of stats, the largest lag first. With openOnly
// they are without the names that no open receiver has.
func newTables(stats memstreamer.Stats, openOnly bool) tables {
	t := tables{
		Receivers: make([]receiverRow, 0, len(stats.Receivers)),
		Topics:    make([]topicRow, 0, len(stats.Topics)),
	}
	maxLag := make(map[string]int64, len(stats.Topics))
	for _, r := range stats.Receivers {
		if openOnly && r.Open == 0 {
			continue
		}
		maxLag[r.Topic] = max(maxLag[r.Topic], r.Lag)
		t.Receivers = append(t.Receivers, receiverRow{
			Topic:   validUTF8(r.Topic),
			Name:    validUTF8(r.Name),
			Open:    r.Open,
			Parked:  r.Parked,
			Lag:     r.Lag,
			AckedID: r.AckedID,
		})
	}
	for _, topic := range stats.Topics {
		t.Topics = append(t.Topics, topicRow{
			Topic:    validUTF8(topic.Topic),
			Retained: topic.Retained,
			FirstID:  topic.FirstID,
			LastID:   topic.LastID,
			MaxLag:   maxLag[topic.Topic],
		})
	}
	// Stable, for rows of one lag stay in the order of Stats: by name.
	slices.SortStableFunc(t.Receivers, func(a, b receiverRow) int { return cmp.Compare(b.Lag, a.Lag) })
	slices.SortStableFunc(t.Topics, func(a, b topicRow) int { return cmp.Compare(b.MaxLag, a.MaxLag) })
	return t
}
