package memstreamer_test

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/bench"
)

// newRetaining returns a streamer with a retention of one hour.
func newRetaining() (*memstreamer.StreamConstructor, *steppedClock) {
	clock := newSteppedClock()
	return memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(time.Hour)), clock
}

func topicStats(s *memstreamer.StreamConstructor, topic string) (stats memstreamer.TopicStats, ok bool) {
	for _, stats := range s.Stats().Topics {
		if stats.Topic == topic {
			return stats, true
		}
	}
	return memstreamer.TopicStats{}, false
}

// Each call sweeps, for an application that never calls Stats: what the call for
// one topic leaves is seen in another, whose sender has nothing to come back to.
func TestEachCallSweeps(t *testing.T) {
	for _, name := range []string{"NewSender", "Send", "NewReceiver", "Ack", "Close of a receiver", "Close of a sender", "Forget", "Close of the streamer", "Stats"} {
		t.Run(name, func(t *testing.T) {
			s, clock := newRetaining()
			elsewhere := newSender(t, s, "elsewhere")
			send(t, elsewhere, "")
			r := newReceiver(t, s, "elsewhere", "step")
			_, ack, err := r.Recv(t.Context())
			require.NoError(t, err)
			sender := newSender(t, s, "orders")
			send(t, sender, "7")
			require.NoError(t, newReceiver(t, s, "orders", "gone").Close())
			require.NoError(t, sender.Close())
			clock.Step(time.Hour + 1)
			require.True(t, s.HasTopic("orders"))
			require.NoError(t, map[string]func() error{
				"NewSender":             func() error { _, err := s.NewSender(t.Context(), "other"); return err },
				"Send":                  func() error { return elsewhere.Send(t.Context(), "", 1, nil) },
				"NewReceiver":           func() error { _, err := s.NewReceiver(t.Context(), "other", "step"); return err },
				"Ack":                   ack,
				"Close of a receiver":   r.Close,
				"Close of a sender":     elsewhere.Close,
				"Forget":                func() error { return s.Forget(t.Context(), "other", "step") },
				"Close of the streamer": s.Close,
				"Stats":                 func() error { s.Stats(); return nil },
			}[name]())
			require.False(t, s.HasTopic("orders"))
		})
	}
}

// One call drops no more than its share, however much has expired, and more than
// it adds.
func TestOneCallSweepsABoundedAmount(t *testing.T) {
	s, clock := newRetaining()
	sender := newSender(t, s, "orders")
	const old = 1000
	for range old {
		send(t, sender, "")
	}
	clock.Step(2 * time.Hour)
	for call := 1; call*memstreamer.SweepLimit < old; call++ {
		send(t, sender, "")
		require.Equal(t, old+call-call*memstreamer.SweepLimit, s.Retained("orders"))
	}
	for range old {
		send(t, sender, "")
	}
	clock.Step(2 * time.Hour)
	stats, _ := topicStats(s, "orders")
	require.Zero(t, stats.Retained, "Stats drops all of it")
}

// Stats drops all that has expired, and still lets others in between: it holds the
// lock for no more than another call does, and reads the clock before each hold.
func TestStatsSweepsInSteps(t *testing.T) {
	clock := newSteppedClock()
	var s *memstreamer.StreamConstructor
	var retained []int
	watch := false
	s = memstreamer.New(memstreamer.WithRetention(time.Hour), memstreamer.WithClock(clockFunc(func() time.Time {
		if watch {
			retained = append(retained, s.Retained("orders"))
		}
		return clock.Now()
	})))
	sender := newSender(t, s, "orders")
	const old = 10 * memstreamer.SweepLimit
	for range old {
		send(t, sender, "")
	}
	clock.Step(2 * time.Hour)
	watch = true
	s.Stats()
	watch = false
	require.Zero(t, s.Retained("orders"))
	for i, left := range retained {
		require.Equal(t, old-i*memstreamer.SweepLimit, left)
	}
	require.GreaterOrEqual(t, len(retained), 10)
}

func TestMakeAndAppendSweep(t *testing.T) {
	for name, call := range map[string]func(*memstreamer.Connector) error{
		"Make": func(c *memstreamer.Connector) error {
			_, err := c.Make(t.Context(), "step")
			return err
		},
		"Append": func(c *memstreamer.Connector) error { return c.Append() },
	} {
		t.Run(name, func(t *testing.T) {
			clock := newSteppedClock()
			c := memstreamer.NewConnector(make([]memstreamer.ConnectorEvent, 1), memstreamer.WithClock(clock), memstreamer.WithRetention(time.Hour))
			clock.Step(time.Hour + 1)
			require.NoError(t, call(c))
			require.Zero(t, c.Retained())
		})
	}
}

func TestAppendDropsMoreThanItAdds(t *testing.T) {
	clock := newSteppedClock()
	c := memstreamer.NewConnector(make([]memstreamer.ConnectorEvent, 1000), memstreamer.WithClock(clock), memstreamer.WithRetention(time.Hour))
	clock.Step(2 * time.Hour)
	require.NoError(t, c.Append(make([]memstreamer.ConnectorEvent, 100)...))
	require.Equal(t, 100, c.Retained())
}

// A Close that stalls between the clock and the lock comes last, with a time that is
// long past.
func TestAStalledCloseForgetsNothing(t *testing.T) {
	clock := newSteppedClock()
	var stall func()
	s := memstreamer.New(memstreamer.WithRetention(time.Hour), memstreamer.WithClock(clockFunc(func() time.Time {
		now := clock.Now()
		if f := stall; f != nil {
			stall = nil
			f()
		}
		return now
	})))
	send(t, newSender(t, s, "orders"), "7")
	stalled, r := newReceiver(t, s, "orders", "step"), newReceiver(t, s, "orders", "step")
	stall = func() {
		clock.Step(2 * time.Hour)
		require.NoError(t, r.Close())
	}
	require.NoError(t, stalled.Close())
	s.Stats()
	require.Equal(t, "7", recv(t, newReceiver(t, s, "orders", "step")).ForeignID)
}

// A clock that is off by ages once holds up nothing for good.
func TestAnAbsurdTimeStopsNothing(t *testing.T) {
	for _, absurd := range []time.Time{{}, time.Unix(1<<60, 0)} {
		now := time.Unix(1_000_000, 0)
		at := now
		s := memstreamer.New(memstreamer.WithRetention(time.Hour), memstreamer.WithClock(clockFunc(func() time.Time { return at })))
		sender := newSender(t, s, "orders")
		at = absurd
		require.NoError(t, sender.Send(t.Context(), "7", 1, map[memstreamer.Header]string{memstreamer.HeaderTopic: "other"}))
		at = now
		send(t, sender, "7")
		at = now.Add(time.Hour + 1)
		stats, _ := topicStats(s, "orders")
		require.Zero(t, stats.Retained)
	}
}

// A connector's topic outlives its events and consumers.
func TestAConnectorKeepsItsTopic(t *testing.T) {
	clock := newSteppedClock()
	c := memstreamer.NewConnector(make([]memstreamer.ConnectorEvent, 1), memstreamer.WithClock(clock), memstreamer.WithRetention(time.Hour))
	require.NoError(t, newConsumer(t, c, "gone").Close())
	clock.Step(time.Hour + 1)
	require.Equal(t, memstreamer.Stats{
		Topics:    []memstreamer.TopicStats{{Topic: "connector", Sent: 1}},
		Receivers: []memstreamer.ReceiverStats{},
	}, c.Stats())
	require.NoError(t, c.Append(memstreamer.ConnectorEvent{ID: "next"}))
	event, _, err := newConsumer(t, c, "step").Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, "next", event.ID)
	require.Len(t, c.Stats().Receivers, 1)
}

func TestANewConsumerStartsAtTheOldestYoungEvent(t *testing.T) {
	clock := newSteppedClock()
	c := memstreamer.NewConnector([]memstreamer.ConnectorEvent{{ID: "old"}}, memstreamer.WithClock(clock), memstreamer.WithRetention(time.Hour))
	newConsumer(t, c, "slow")
	clock.Step(time.Hour + 1)
	require.NoError(t, c.Append(memstreamer.ConnectorEvent{ID: "young"}))
	event, _, err := newConsumer(t, c, "new").Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, "young", event.ID)
}

var burst = flag.Int("burst", 100_000, "how many topics and names TestABurstIsGivenBack makes")

// What a burst took is given back, topics and names alike. The long form of the
// test:
//
//	go test -v -run TestABurstIsGivenBack -burst 300000 .
func TestABurstIsGivenBack(t *testing.T) {
	if testing.Short() {
		*burst = min(*burst, 20_000)
	}
	for name, use := range map[string]func(*testing.T, *memstreamer.StreamConstructor, string){
		"topics": func(t *testing.T, s *memstreamer.StreamConstructor, name string) {
			sender := newSender(t, s, name)
			send(t, sender, "7")
			require.NoError(t, sender.Close())
		},
		"names": func(t *testing.T, s *memstreamer.StreamConstructor, name string) {
			require.NoError(t, newReceiver(t, s, "orders", name).Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, clock := newRetaining()
			send(t, newSender(t, s, "orders"), "7")
			newReceiver(t, s, "orders", "step")
			before := bench.LiveHeap()
			for i := range *burst {
				use(t, s, fmt.Sprint(i))
			}
			peak := bench.LiveHeap() - before
			clock.Step(2 * time.Hour)
			s.Stats()
			left := bench.LiveHeap() - before
			t.Logf("%.1f MB at the peak, %.3f MB after it", float64(peak)/1e6, float64(left)/1e6)
			require.Greater(t, peak, int64(*burst*100))
			require.Less(t, left, int64(*burst*10)) // 3 MB for 300,000
			runtime.KeepAlive(s)
		})
	}
}

// What a topic holds goes with its events: chunks and segments as they are
// dropped, and all of it with the last.
func TestDroppedEventsFreeTheirMemory(t *testing.T) {
	s, clock := newRetaining()
	sender := newSender(t, s, "orders")
	r := newReceiver(t, s, "orders", "step")
	before := bench.LiveHeap()
	payload := strings.Repeat("x", 1000)
	const events = 10_000
	for range events {
		send(t, sender, payload)
	}
	full := bench.LiveHeap() - before
	require.Greater(t, full, int64(events*len(payload)))
	for range events / 2 {
		recv(t, r)
	}
	clock.Step(2 * time.Hour)
	s.Stats()
	require.Less(t, bench.LiveHeap()-before, full/2+100_000)
	for range events / 2 {
		recv(t, r)
	}
	s.Stats()
	require.Less(t, bench.LiveHeap()-before, int64(50_000))
	runtime.KeepAlive(s)
}

// A topic takes memory by what is in it.
func TestATopicOfOneSmallEventIsSmall(t *testing.T) {
	s := memstreamer.New()
	const topics = 1000
	before := bench.LiveHeap()
	for i := range topics {
		sender := newSender(t, s, fmt.Sprint(i))
		send(t, sender, "7")
		require.NoError(t, sender.Close())
	}
	require.Less(t, (bench.LiveHeap()-before)/topics, int64(1000))
	runtime.KeepAlive(s)
}

// A topic that few events pass through stays small, also after a burst.
func TestASlowTopicIsSmall(t *testing.T) {
	const topics = 200
	before := bench.LiveHeap()
	s, clock := newRetaining()
	keepThree(t, s, clock, topics, 1000)
	require.Equal(t, 3, s.Retained("orders-0"))
	require.Less(t, (bench.LiveHeap()-before)/topics, int64(1500))
	runtime.KeepAlive(s)
}

// An event that was received pins nothing of the log, and nor does its Ack.
func TestAReceivedEventIsACopy(t *testing.T) {
	s, clock := newRetaining()
	sender := newSender(t, s, "orders")
	r := newReceiver(t, s, "orders", "step")
	before := bench.LiveHeap()
	var events []*memstreamer.Event
	var acks []memstreamer.Ack
	for range 100 {
		send(t, sender, "small")
		send(t, sender, strings.Repeat("x", memstreamer.MaxChunk))
		event, ack, err := r.Recv(t.Context())
		require.NoError(t, err)
		require.NoError(t, ack())
		events, acks = append(events, event), append(acks, ack)
		_, ack, err = r.Recv(t.Context())
		require.NoError(t, err)
		require.NoError(t, ack())
		acks = append(acks, ack)
	}
	clock.Step(2 * time.Hour)
	s.Stats()
	require.Less(t, bench.LiveHeap()-before, int64(memstreamer.MaxChunk*10))
	runtime.KeepAlive(events)
	runtime.KeepAlive(acks)
	runtime.KeepAlive(s)
}

// Nor does a connector's.
func TestAConnectorsEventIsACopy(t *testing.T) {
	clock := newSteppedClock()
	c := memstreamer.NewConnector([]memstreamer.ConnectorEvent(nil), memstreamer.WithClock(clock), memstreamer.WithRetention(time.Hour))
	consumer := newConsumer(t, c, "step")
	before := bench.LiveHeap()
	var events []*memstreamer.ConnectorEvent
	for range 100 {
		require.NoError(t, c.Append(memstreamer.ConnectorEvent{ID: "small"}, memstreamer.ConnectorEvent{ID: strings.Repeat("x", memstreamer.MaxChunk)}))
		for i := range 2 {
			event, ack, err := consumer.Recv(t.Context())
			require.NoError(t, err)
			require.NoError(t, ack())
			if i == 0 {
				events = append(events, event)
			}
		}
	}
	clock.Step(2 * time.Hour)
	c.Stats()
	require.Less(t, bench.LiveHeap()-before, int64(memstreamer.MaxChunk*10))
	runtime.KeepAlive(events)
	runtime.KeepAlive(c)
}

var heapEvents = flag.Int("heap-events", 300_000, "how many events TestTheHeapIsFlat sends")

// A daemon sends to 50 topics and has acking receivers on all but one of them. For
// every hundredth event it opens a name that was never used, which acks one event,
// closes and does not come back. An event is kept for a period, and one that such
// a name has not acked until that name is forgotten, a period later. Once that is
// so, the heap has to stay as it is. The long form of the test:
//
//	go test -v -run TestTheHeapIsFlat -heap-events 10000000 .
func TestTheHeapIsFlat(t *testing.T) {
	const topics, periods = 50, 20
	perPeriod := *heapEvents / periods
	s, clock := newRetaining()
	senders := make([]memstreamer.EventSender, topics)
	receivers := make([]memstreamer.EventReceiver, topics)
	for i := range topics {
		senders[i] = newSender(t, s, fmt.Sprint(i))
		if i > 0 {
			receivers[i] = newReceiver(t, s, fmt.Sprint(i), "step")
		}
	}
	headers := map[memstreamer.Header]string{
		memstreamer.HeaderWorkflowName: "orders", memstreamer.HeaderRunID: "0198c6a1-7f0e-7d1a-a5b4-7a0c9d3f1e52",
	}
	before := bench.LiveHeap()
	var settled int64
	for period := range periods {
		for i := range perPeriod {
			topic := i % topics
			if err := senders[topic].Send(t.Context(), "7", 1, headers); err != nil {
				t.Fatal(err)
			}
			if receivers[topic] != nil {
				ackNext(t, receivers[topic])
			}
			if i%100 == 0 {
				fresh := newReceiver(t, s, fmt.Sprint(topic), fmt.Sprint("run ", period, " ", i))
				ackNext(t, fresh)
				require.NoError(t, fresh.Close())
			}
			clock.Step(time.Hour / time.Duration(perPeriod))
		}
		inUse := bench.LiveHeap() - before
		t.Logf("after %8d events: %6.2f MB", (period+1)*perPeriod, float64(inUse)/1e6)
		if period < 4 {
			settled = max(settled, inUse)
			continue
		}
		// Each topic has a chunk and a segment that are not full.
		const partly = topics * (memstreamer.MaxChunk + 40*memstreamer.SegmentSize)
		require.Less(t, inUse, settled+partly, "bytes in use after period %d", period+1)
	}
	// All this while, the streamer had something to give back.
	stats := s.Stats()
	retained := 0
	for _, topic := range stats.Topics {
		retained += topic.Retained
	}
	require.Positive(t, retained)
	require.LessOrEqual(t, retained, 2*perPeriod+topics)
	require.LessOrEqual(t, len(stats.Receivers), perPeriod/100+topics+1)
}

// ackNext is recv in a form that is cheap enough for ten million events.
func ackNext(t *testing.T, r memstreamer.EventReceiver) {
	_, ack, err := r.Recv(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := ack(); err != nil {
		t.Fatal(err)
	}
}
