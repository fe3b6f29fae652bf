package memwatermill_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// TestStatsNameGroups reads what the metrics and the page show.
func TestStatsNameGroups(t *testing.T) {
	streamer := memstreamer.New()
	for _, config := range []memwatermill.Config{
		{ConsumerGroup: "billing"},
		{ConsumerGroup: "shipping", Lanes: 2},
	} {
		p, err := memwatermill.NewPubSub(streamer, config, nil)
		require.NoError(t, err)
		_, err = p.Subscribe(t.Context(), topic)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close()) })
	}
	var names []string
	for _, r := range streamer.Stats().Receivers {
		require.Equal(t, 1, r.Open)
		names = append(names, fmt.Sprint(r.Name, " on ", r.Topic))
	}
	require.Equal(t, []string{
		"billing on orders",
		"shipping on orders",
		"shipping on orders#shipping#1/2",
		"shipping on orders#shipping#2/2",
	}, names)
}
