package watermill

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/internal/judge"
	"github.com/memstreamer/memstreamer/jetstream"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// TestTwoProcesses has two streamers on one server, which know as little of one
// another as two processes do. A group with lanes on both handles every message,
// one of a key at a time and in its key's order. One may come to both.
func TestTwoProcesses(t *testing.T) {
	const messages, lanes = 200, 4
	ledger := judge.NewLedger(messages)
	var cameTo sync.Map // the process that a message came to first
	var byProcess [2]atomic.Int64
	var publisher message.Publisher
	for process, s := range twoStreamers(t) {
		p, err := memwatermill.NewPubSub(s, memwatermill.Config{ConsumerGroup: "billing", Lanes: lanes, LaneKey: key}, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, p.Close()) }()
		in, err := p.Subscribe(t.Context(), "orders")
		require.NoError(t, err)
		go func() {
			for m := range in {
				if _, again := cameTo.LoadOrStore(m.UUID, process); again {
					m.Ack()
					continue
				}
				byProcess[process].Add(1)
				go ledger.Handle(key(m), m.UUID, time.Millisecond, m.Ack)
			}
		}()
		publisher = p
	}
	for i := range messages {
		require.NoError(t, publisher.Publish("orders", message.NewMessage(fmt.Sprintf("%03d", i), nil)))
	}
	select {
	case <-ledger.All:
	case <-time.After(time.Minute):
	}
	require.NoError(t, ledger.Check(lanes))
	t.Logf("the processes handled %d and %d messages", byProcess[0].Load(), byProcess[1].Load())
}

// TestForgottenByAnother has another process forget the cursor of a group, whose
// subscription goes on at a new one.
func TestForgottenByAnother(t *testing.T) {
	streamers := twoStreamers(t)
	p, err := memwatermill.NewPubSub(streamers[0], memwatermill.Config{ConsumerGroup: "billing"}, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	in, err := p.Subscribe(t.Context(), "orders")
	require.NoError(t, err)
	require.NoError(t, streamers[1].Forget(t.Context(), "orders", "billing"))
	require.NoError(t, p.Publish("orders", message.NewMessage("a", nil)))
	select {
	case m := <-in:
		m.Ack()
	case <-time.After(time.Minute):
		t.Error("no message came")
	}
}

func twoStreamers(t *testing.T) (streamers [2]*jetstream.Streamer) {
	js, stop := startServer(t, t.TempDir())
	t.Cleanup(stop)
	for i := range streamers {
		s, err := jetstream.New(t.Context(), js)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		streamers[i] = s
	}
	return streamers
}

// key is the last digit of a UUID.
func key(m *message.Message) string { return m.UUID[len(m.UUID)-1:] }
