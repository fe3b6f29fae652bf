package memstreamer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// model is what the contract says, in as few words: the events by topic, and by
// topic and name how many of them are acked.
type model struct {
	lastID  int64
	events  map[string][]memstreamer.Event
	cursors map[[2]string]int
}

// delivery is what one Recv returned.
type delivery struct {
	cursor [2]string
	index  int // of the event in its topic
	ack    memstreamer.Ack
}

// runModel lets program, each byte a choice, drive a streamer and the model, and
// fails where they differ.
func runModel(t *testing.T, program []byte) {
	choose := func(n int) int {
		if len(program) == 0 {
			return 0
		}
		choice := int(program[0]) % n
		program = program[1:]
		return choice
	}
	topics, names := []string{"a", "b", "c"}, []string{"x", "y"}

	s := memstreamer.New()
	senders := map[string]memstreamer.EventSender{}
	for _, topic := range topics {
		senders[topic] = newSender(t, s, topic)
	}
	m := model{events: map[string][]memstreamer.Event{}, cursors: map[[2]string]int{}}
	type open struct {
		cursor   [2]string
		receiver memstreamer.EventReceiver
	}
	var receivers []open
	var deliveries []delivery

	for len(program) > 0 {
		switch choose(8) {
		case 0, 1: // send
			topic, from := topics[choose(3)], topics[choose(3)]
			headers := []map[memstreamer.Header]string{
				nil, {}, {"": "", "k": "\x00é\n"}, {memstreamer.HeaderRunID: fmt.Sprint(m.lastID), memstreamer.HeaderTopic: ""},
			}[choose(4)]
			if from != topic {
				headers = map[memstreamer.Header]string{memstreamer.HeaderTopic: topic}
			}
			m.lastID++
			event := memstreamer.Event{ID: m.lastID, ForeignID: fmt.Sprint("f", m.lastID), Type: choose(256) - 128}
			if headers != nil {
				event.Headers = map[memstreamer.Header]string{}
			}
			for name, value := range headers {
				event.Headers[name] = value
			}
			require.NoError(t, senders[from].Send(t.Context(), event.ForeignID, event.Type, headers))
			if headers != nil {
				headers[memstreamer.HeaderTopic] = "changed after Send"
			}
			m.events[topic] = append(m.events[topic], event)

		case 2: // open
			cursor := [2]string{topics[choose(3)], names[choose(2)]}
			_, exists := m.cursors[cursor]
			var opts []memstreamer.ReceiverOption
			if choose(2) == 1 {
				opts = append(opts, memstreamer.StreamFromLatest())
			}
			if !exists {
				m.cursors[cursor] = len(opts) * len(m.events[cursor[0]])
			}
			receivers = append(receivers, open{cursor, newReceiver(t, s, cursor[0], cursor[1], opts...)})

		case 3, 4, 5: // receive
			if len(receivers) == 0 {
				continue
			}
			r := receivers[choose(len(receivers))]
			index := m.cursors[r.cursor]
			if index == len(m.events[r.cursor[0]]) {
				requireNothing(t, r.receiver)
				continue
			}
			event, ack, err := r.receiver.Recv(t.Context())
			require.NoError(t, err)
			want := m.events[r.cursor[0]][index]
			require.False(t, event.CreatedAt.IsZero())
			want.CreatedAt = event.CreatedAt
			require.Equal(t, want, *event)
			if event.Headers != nil {
				event.Headers["k"] = "changed by its receiver"
			}
			deliveries = append(deliveries, delivery{r.cursor, index, ack})

		case 6: // ack, any delivery and any number of times
			if len(deliveries) == 0 {
				continue
			}
			// Mostly one of the last: a late one changes nothing.
			d := deliveries[len(deliveries)-1-choose(min(4, len(deliveries)))]
			require.NoError(t, d.ack())
			m.cursors[d.cursor] = max(m.cursors[d.cursor], d.index+1)

		case 7: // close
			if len(receivers) == 0 {
				continue
			}
			i := choose(len(receivers))
			require.NoError(t, receivers[i].receiver.Close())
			_, _, err := receivers[i].receiver.Recv(t.Context())
			require.ErrorIs(t, err, memstreamer.ErrClosed)
			receivers = append(receivers[:i], receivers[i+1:]...)
		}
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		program := make([]byte, 2000)
		for i := range program {
			program[i] = byte(random.Uint32())
		}
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { runModel(t, program) }) {
			return
		}
	}
}

func FuzzModel(f *testing.F) {
	f.Fuzz(runModel)
}

// Receivers of four names on each of three topics, two at a time for each name,
// lose acks, get cancelled and are closed and reopened while three senders send.
// Every name must get all of its topic in order, and nothing again after the
// ack.
func TestStress(t *testing.T) {
	const events = 500 // of each topic
	topics := []string{"a", "b", "c"}
	s := memstreamer.New()
	// A wake-up that is lost must not hang the test for long.
	deadline, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var workers sync.WaitGroup
	for _, topic := range topics {
		sender, other := newSender(t, s, topic), newSender(t, s, "other")
		workers.Go(func() {
			// Each event goes out by the sender of another topic, at times.
			for i := range events {
				if i%3 == 0 {
					assert.NoError(t, sender.Send(t.Context(), fmt.Sprint(i), 1, nil))
					continue
				}
				headers := map[memstreamer.Header]string{memstreamer.HeaderTopic: topic}
				assert.NoError(t, other.Send(t.Context(), fmt.Sprint(i), 1, headers))
			}
		})
		for name := range 4 {
			unfinished, finish := context.WithCancel(deadline)
			t.Cleanup(finish)
			var mu sync.Mutex
			acked := 0
			for worker := range 2 {
				random := rand.New(rand.NewPCG(uint64(name), uint64(worker)))
				r := newReceiver(t, s, topic, fmt.Sprint(name))
				workers.Go(func() {
					for unfinished.Err() == nil {
						ctx, cancel := context.WithCancel(unfinished)
						if random.IntN(4) == 0 {
							workers.Go(cancel)
						}
						mu.Lock()
						floor := acked
						mu.Unlock()
						event, ack, err := r.Recv(ctx)
						cancel()
						if err != nil {
							if deadline.Err() == nil {
								assert.Equal(t, context.Canceled, err)
							}
							continue
						}
						index, err := strconv.Atoi(event.ForeignID)
						assert.NoError(t, err)

						mu.Lock()
						if index < floor || index > acked {
							t.Errorf("topic %s, name %d: got event %d when the next was %d to %d", topic, name, index, floor, acked)
						}
						if random.IntN(3) > 0 {
							assert.NoError(t, ack())
							acked = max(acked, index+1)
						}
						if acked == events {
							finish()
						}
						mu.Unlock()

						if random.IntN(8) == 0 {
							assert.NoError(t, r.Close())
							r, err = s.NewReceiver(t.Context(), topic, fmt.Sprint(name))
							assert.NoError(t, err)
						}
					}
				})
			}
		}
	}
	workers.Wait()
	require.NoError(t, deadline.Err(), "a receiver waits for what was sent")
}
