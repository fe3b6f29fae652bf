package tests

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// TestTwoProcesses has two streamers on one server, which know as little of one
// another as two processes do. A group with lanes on both handles every message,
// one of a key at a time and in its key's order. One may come to both.
func TestTwoProcesses(t *testing.T) {
	const messages, keys = 200, 10
	conn, stop, err := embedded.Start(t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, stop()) }()
	js, err := natsjs.New(conn)
	require.NoError(t, err)

	key := func(m *message.Message) string { return m.UUID[len(m.UUID)-1:] }
	var mu sync.Mutex
	started, handled := make(map[string]int), make(map[string][]string)
	byProcess, repeated := make([]int, 2), 0
	all := make(chan struct{})
	handle := func(process int, m *message.Message) {
		defer m.Ack()
		mu.Lock()
		defer mu.Unlock()
		key := key(m)
		if slices.Contains(handled[key], m.UUID) {
			repeated++
			return
		}
		handled[key] = append(handled[key], m.UUID)
		started[key]++
		if started[key] > 1 {
			t.Errorf("message %s is handled while another of its key is", m.UUID)
		}
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		started[key]--
		byProcess[process]++
		if byProcess[0]+byProcess[1] == messages {
			close(all)
		}
	}
	var publisher message.Publisher
	for process := range 2 {
		s, err := jetstream.New(t.Context(), js)
		require.NoError(t, err)
		p, err := memwatermill.NewPubSub(s, memwatermill.Config{ConsumerGroup: "billing", Lanes: 4, LaneKey: key}, nil)
		require.NoError(t, err)
		defer func() {
			require.NoError(t, p.Close())
			require.NoError(t, s.Close())
		}()
		in, err := p.Subscribe(t.Context(), "orders")
		require.NoError(t, err)
		go func() {
			for m := range in {
				go handle(process, m)
			}
		}()
		publisher = p
	}
	for i := range messages {
		require.NoError(t, publisher.Publish("orders", message.NewMessage(fmt.Sprintf("%03d", i), nil)))
	}
	select {
	case <-all:
	case <-time.After(time.Minute):
		t.Error("not all messages were handled")
	}
	mu.Lock()
	defer mu.Unlock()
	for key, uuids := range handled {
		require.True(t, slices.IsSorted(uuids), "the messages of key %s were handled in the order %v", key, uuids)
		require.Len(t, uuids, messages/keys, "the messages of key %s: %v", key, uuids)
	}
	t.Logf("the processes handled %d and %d messages; %d came to both", byProcess[0], byProcess[1], repeated)
}
