package memstreamer

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// filled is how many events the topic of TestShardOpensWhile has at first.
const filled = 20 * segmentSize

// openWhile opens a receiver of Shard(1, 7) on a topic to which nothing refers but old
// events, and calls f while that has mu unlocked.
func openWhile(t *testing.T, open func(*StreamConstructor) (EventReceiver, error), f func(*StreamConstructor, *topic)) (*StreamConstructor, EventReceiver) {
	for {
		s := New(WithRetention(time.Hour))
		for range filled {
			s.topic("orders").append(s.nextID(), time.Now(), -2*time.Hour, packEvent[Header](nil, "order", 1, nil))
		}
		met := make(chan bool)
		go func() {
			for {
				s.mu.Lock()
				topic := s.topics.get("orders")
				if topic.users > 0 { // it is being opened, or is open
					filling := topic.cursors.len == 0
					if filling {
						f(s, topic)
					}
					s.mu.Unlock()
					met <- filling
					return
				}
				s.mu.Unlock()
				runtime.Gosched()
			}
		}()
		r, err := open(s)
		require.NoError(t, err)
		if <-met {
			return s, r
		}
	}
}

func TestShardOpensWhile(t *testing.T) {
	shard := ReceiverOptions{ShardIndex: 1, ShardCount: 7}
	opens := map[string]func(s *StreamConstructor) (EventReceiver, error){
		"NewReceiver": func(s *StreamConstructor) (EventReceiver, error) {
			return s.NewReceiver(t.Context(), "orders", "step", Shard(1, 7))
		},
		"Journal": func(s *StreamConstructor) (EventReceiver, error) {
			return s.Journal().Open(Consumer{Topic: "orders", Name: "step", Life: 1, ShardIndex: 1, ShardCount: 7})
		},
	}
	for name, f := range map[string]func(*StreamConstructor, *topic){
		"some are dropped": func(s *StreamConstructor, _ *topic) { s.retention.sweep(0, filled*3/4) },
		"all are dropped":  func(s *StreamConstructor, _ *topic) { s.retention.sweep(0, filled) },
		"more are sent": func(s *StreamConstructor, topic *topic) {
			for range filled {
				topic.append(s.nextID(), time.Now(), 0, packEvent[Header](nil, "order", 1, nil))
			}
		},
		"another is opened": func(s *StreamConstructor, _ *topic) {
			_, err := s.newReceiver("orders", "other", shard, 0)
			require.NoError(t, err)
		},
	} {
		for by, open := range opens {
			t.Run(by+" while "+name, func(t *testing.T) {
				s, r := openWhile(t, open, f)
				require.NoError(t, s.CheckInvariants())
				sender, err := s.NewSender(t.Context(), "orders")
				require.NoError(t, err)
				for range 7 {
					require.NoError(t, sender.Send(t.Context(), "order", 1, nil))
				}
				e, _, err := r.Recv(t.Context())
				require.NoError(t, err)
				require.EqualValues(t, 1, e.ID%7)
				require.NoError(t, s.CheckInvariants())
			})
		}
	}
}
