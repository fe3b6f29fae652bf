package memstreamer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type internalClock struct{ now time.Time }

func (c *internalClock) Now() time.Time { return c.now }

// requireInvariants checks what the streamer keeps about itself against what it
// is about.
func requireInvariants(t *testing.T, s *StreamConstructor) {
	t.Helper()
	cursors, idle := 0, 0
	for name, topic := range s.topics {
		l := &topic.log
		require.Equal(t, name, topic.name)
		require.True(t, l.kept() > 0 || len(topic.cursors) > 0 || topic.open > 0, "nothing keeps topic %s", name)

		holders := map[int64]int32{}
		for _, c := range topic.cursors {
			cursors++
			if c.open > 0 {
				require.GreaterOrEqual(t, c.next, l.first, "an event that is held was dropped")
				holders[c.next]++
				continue
			}
			idle++
			require.Same(t, c, s.retention.idle[c.place])
		}
		for position := l.first; position <= l.next; position++ {
			if holders[position] != *l.holders(position) {
				t.Fatalf("%s at %d has %d holders, and not %d", name, position, *l.holders(position), holders[position])
			}
		}

		// What was dropped is not held on to.
		segments := (l.next - l.base + segmentSize - 1) / segmentSize
		if l.kept() == 0 {
			segments = 0
		}
		require.Len(t, l.segments, int(segments))
		for position := l.base; position < l.first; position++ {
			if *l.at(position) != (entry{}) {
				t.Fatalf("%s holds on to the event at %d, which was dropped", name, position)
			}
		}

		if l.kept() > 0 && l.oldest().holders == 0 {
			require.Same(t, topic, s.retention.expiring[topic.place])
		} else {
			require.Equal(t, -1, topic.place)
		}
	}
	require.Equal(t, cursors, s.cursors)
	require.Len(t, s.retention.idle, idle)
	requireHeap(t, s.retention.idle)
	requireHeap(t, s.retention.expiring)
}

func requireHeap[T expirer](t *testing.T, q queue[T]) {
	t.Helper()
	for i := 1; i < len(q); i++ {
		require.LessOrEqual(t, q[(i-1)/2].since(), q[i].since())
	}
	for _, dropped := range q[len(q):cap(q)] {
		require.Zero(t, dropped, "a queue holds on to what has left it")
	}
}

func TestInvariants(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			clock := &internalClock{now: time.Unix(1_000_000, 0)}
			s := New(WithClock(clock), WithRetention(time.Minute))
			topics := []string{"a", "b", "c", "d"}
			var senders []EventSender
			var receivers []EventReceiver
			var acks []Ack
			for range 300 {
				topic := topics[random.IntN(len(topics))]
				switch random.IntN(10) {
				case 0:
					sender, err := s.NewSender(t.Context(), topic)
					require.NoError(t, err)
					senders = append(senders, sender)
				case 1:
					receiver, err := s.NewReceiver(t.Context(), topic, fmt.Sprint(random.IntN(5)))
					require.NoError(t, err)
					receivers = append(receivers, receiver)
				case 2:
					if len(senders) > 4 {
						require.NoError(t, senders[0].Close())
						senders = senders[1:]
					}
				case 3:
					if len(receivers) > 4 {
						require.NoError(t, receivers[0].Close())
						receivers = receivers[1:]
					}
				case 4:
					clock.now = clock.now.Add(time.Duration(random.IntN(40)-10) * time.Second)
				case 5:
					if len(senders) > 0 { // enough to cross segments
						for range random.IntN(segmentSize) {
							require.NoError(t, senders[0].Send(t.Context(), "", 1, map[Header]string{HeaderTopic: topic}))
						}
					}
				case 6, 7:
					if len(receivers) > 0 {
						r := receivers[random.IntN(len(receivers))].(*receiver)
						for range random.IntN(segmentSize) {
							if !r.readyLocked() {
								break
							}
							_, ack, err := r.Recv(t.Context())
							require.NoError(t, err)
							require.NoError(t, ack())
							acks = append(acks, ack)
						}
					}
				case 8:
					if len(acks) > 0 {
						require.NoError(t, acks[random.IntN(len(acks))]())
					}
				case 9:
					if len(receivers) > 0 && receivers[0].(*receiver).readyLocked() {
						_, ack, err := receivers[0].Recv(t.Context())
						require.NoError(t, err)
						acks = append(acks, ack)
					}
				}
				requireInvariants(t, s)
			}
		})
	}
}

// One call drops no more than its share, however much has expired.
func TestOneCallSweepsABoundedAmount(t *testing.T) {
	clock := &internalClock{now: time.Unix(1_000_000, 0)}
	s := New(WithClock(clock), WithRetention(time.Minute))
	sender, err := s.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	for i := range 1000 {
		require.NoError(t, sender.Send(t.Context(), "", 1, nil))
		receiver, err := s.NewReceiver(t.Context(), "orders", fmt.Sprint(i))
		require.NoError(t, err)
		require.NoError(t, receiver.Close())
	}
	clock.now = clock.now.Add(time.Hour)
	for calls := 1; calls <= 30; calls++ {
		require.NoError(t, sender.Send(t.Context(), "", 1, nil))
		require.Equal(t, 1000+calls-calls*sweepLimit, s.topics["orders"].log.kept())
		require.Equal(t, 1000-calls*sweepLimit, s.cursors)
	}
}
