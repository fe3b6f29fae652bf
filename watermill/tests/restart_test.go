package tests

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// TestRestart ends and opens the streamer again and again while messages wait in
// the lanes of a group. None is lost, handled twice or out of its key's order,
// and none changes a byte.
func TestRestart(t *testing.T) {
	eachBackend(t, func(t *testing.T, open func(t *testing.T) (memstreamer.EventStreamer, func())) {
		const messages, keys = 60, 6
		metadata := message.Metadata{"topic": "elsewhere", "bytes": "\xff\x00", "": ""}
		key := func(m *message.Message) string { return m.UUID[len(m.UUID)-1:] }

		handled := make(map[string][]string)
		run := func(lanes, publish, take int) {
			streamer, stop := open(t)
			defer stop()
			p, err := memwatermill.NewPubSub(streamer, memwatermill.Config{ConsumerGroup: "billing", Lanes: lanes, LaneKey: key}, nil)
			require.NoError(t, err)
			defer func() { require.NoError(t, p.Close()) }()
			for i := range publish {
				m := message.NewMessage(fmt.Sprintf("\xfe%02d-%d", i/keys, i%keys), message.Payload{0xff, byte(i), 0})
				m.Metadata = metadata
				require.NoError(t, p.Publish("orders", m))
			}
			in, err := p.Subscribe(t.Context(), "orders")
			require.NoError(t, err)
			for range take {
				m := next(t, in)
				require.Equal(t, metadata, m.Metadata)
				require.Len(t, m.Payload, 3)
				handled[key(m)] = append(handled[key(m)], m.UUID)
				m.Ack()
			}
		}

		run(4, messages, 7)
		for range 3 {
			run(4, 0, 7)
		}
		if hasStats(t, open) {
			run(2, 0, 7)
			run(1, 0, 7)
			run(8, 0, 7)
			run(1, 0, messages-7*7)
		} else {
			run(4, 0, messages-7*4)
		}

		total := 0
		for key, uuids := range handled {
			total += len(uuids)
			require.True(t, slices.IsSorted(uuids), "the messages of key %s were handled in the order %q", key, uuids)
			require.Len(t, slices.Compact(slices.Clone(uuids)), len(uuids), "a message of key %s was handled twice", key)
		}
		require.Equal(t, messages, total)
	})
}

func next(t *testing.T, in <-chan *message.Message) *message.Message {
	select {
	case m := <-in:
		return m
	case <-time.After(30 * time.Second):
		require.FailNow(t, "no message came")
		return nil
	}
}

// hasStats reports whether the streamer has Stats, without which what waits in
// the lanes of another number cannot be found.
func hasStats(t *testing.T, open func(t *testing.T) (memstreamer.EventStreamer, func())) bool {
	streamer, stop := open(t)
	defer stop()
	_, ok := streamer.(interface{ Stats() memstreamer.Stats })
	return ok
}
