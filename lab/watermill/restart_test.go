package watermill

import (
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/judge"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// TestRestart ends and opens the streamer again and again while messages wait in
// the lanes of a group. None is lost, handled twice or out of its key's order,
// and none changes a byte.
func TestRestart(t *testing.T) {
	eachBackend(t, func(t *testing.T, open opener) {
		const messages, keys, each = 60, 6, 7
		metadata := message.Metadata{"topic": "elsewhere", "bytes": "\xff\x00", "": ""}
		ledger, hasStats := judge.NewLedger(messages), false
		run := func(lanes, publish, take int) {
			streamer, stop := open(t)
			defer stop()
			_, hasStats = streamer.(interface{ Stats() memstreamer.Stats })
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
				select {
				case m := <-in:
					require.Equal(t, metadata, m.Metadata)
					require.Len(t, m.Payload, 3)
					ledger.Handle(key(m), m.UUID, 0, m.Ack)
				case <-time.After(30 * time.Second):
					require.FailNow(t, "no message came")
				}
			}
		}

		run(4, messages, each)
		// Without Stats, what waits in the lanes of another number cannot be found.
		rest := []int{4, 4, 4}
		if hasStats {
			rest = append(rest, 2, 1, 8, 1)
		}
		for _, lanes := range rest {
			run(lanes, 0, each)
		}
		run(rest[len(rest)-1], 0, messages-each*(1+len(rest)))
		require.NoError(t, ledger.Check(1))
	})
}
