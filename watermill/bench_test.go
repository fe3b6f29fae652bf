package memwatermill_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// BenchmarkLanes handles 1,000 messages of 100 keys, each in 2 ms and in a
// goroutine of its own, as a Router does. It fails for one that is out of the
// order of its key.
func BenchmarkLanes(b *testing.B) {
	const messages, keys = 1000, 100
	for _, lanes := range []int{1, 16} {
		b.Run(fmt.Sprint(lanes), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				p, err := memwatermill.NewPubSub(memstreamer.New(), memwatermill.Config{
					ConsumerGroup: "billing",
					Lanes:         lanes,
					LaneKey:       func(m *message.Message) string { return m.Metadata.Get("key") },
				}, nil)
				if err != nil {
					b.Fatal(err)
				}
				for i := range messages {
					m := message.NewMessage(fmt.Sprintf("%04d", i), nil)
					m.Metadata.Set("key", fmt.Sprint("key-", i%keys))
					if err := p.Publish(topic, m); err != nil {
						b.Fatal(err)
					}
				}
				var mu sync.Mutex
				last := make(map[string]string)
				var handling sync.WaitGroup
				b.StartTimer()

				in, err := p.Subscribe(b.Context(), topic)
				if err != nil {
					b.Fatal(err)
				}
				for range messages {
					m := <-in
					handling.Go(func() {
						time.Sleep(2 * time.Millisecond)
						mu.Lock()
						defer mu.Unlock()
						if key := m.Metadata.Get("key"); m.UUID <= last[key] {
							b.Errorf("message %s of %s was handled after %s", m.UUID, key, last[key])
						} else {
							last[key] = m.UUID
						}
						m.Ack()
					})
				}
				handling.Wait()

				b.StopTimer()
				if err := p.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
