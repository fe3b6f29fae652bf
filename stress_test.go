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
	"github.com/memstreamer/memstreamer/internal/judge"
)

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
			var cursor judge.Cursor
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
						mark := cursor.Receiving()
						mu.Unlock()
						event, ack, err := r.Recv(ctx)
						cancel()
						if err != nil {
							if deadline.Err() == nil {
								assert.Equal(t, context.Canceled, err)
							}
							continue
						}
						place, err := strconv.ParseInt(event.ForeignID, 10, 64)
						assert.NoError(t, err)

						mu.Lock()
						if verdict := cursor.Received(mark, place); verdict != judge.Right {
							t.Errorf("topic %s, name %d: got event %d, %v, when the next was %d", topic, name, place, verdict, cursor.Low())
						}
						if random.IntN(3) > 0 {
							cursor.Acking(place)
							assert.NoError(t, ack())
							cursor.Acked(mark, place)
						}
						if cursor.Low() == events {
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
