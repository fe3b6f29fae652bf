package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
)

// topic sends to one topic, and counts its events from 1 on: the ForeignID of
// each is its number.
type topic struct {
	*soak
	topic string
	names []*name
	last  atomic.Int64 // the number of the last that was sent

	mu    sync.Mutex
	times [1 << 13]time.Duration // since the start, when the last so many were sent or a little before
}

// name returns the name of a number. That of number 1 is ephemeral.
func (t *topic) name(i int) *name {
	for n := len(t.names); n <= i; n++ {
		t.names = append(t.names, &name{topic: t, name: fmt.Sprint("name ", n), ephemeral: n == 1})
	}
	return t.names[i]
}

// send sends at a steady pace until ctx is done.
func (t *topic) send(ctx context.Context, random *rand.Rand) {
	const tick = 20 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	due := random.Float64()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		due += float64(t.rate) / float64(t.soak.config.topics) * tick.Seconds()
		if t.behind() {
			due = 0
		}
		// By its own topic's sender, or as an outbox does by the header.
		by, headers := t.topic, map[memstreamer.Header]string(nil)
		if random.IntN(2) == 0 {
			by = "outbox"
			headers = map[memstreamer.Header]string{memstreamer.HeaderTopic: t.topic}
		}
		sender, err := t.streamer.NewSender(context.Background(), by)
		if err != nil {
			t.failf("%s: NewSender: %v", t.topic, err)
			return
		}
		for ; due >= 1; due-- {
			t.sendNext(sender, headers)
			if last := t.last.Load(); last%100 == 0 {
				t.visit(&name{topic: t, name: "name 1", ephemeral: true}, true, 0, sender, headers)
				t.visit(&name{topic: t, name: "name 1", ephemeral: true}, false, t.retention/4, sender, headers)
				t.visit(&name{topic: t, name: fmt.Sprint("visit ", last)}, false, 0, sender, headers)
			}
		}
		if err := sender.Close(); err != nil {
			t.failf("%s: Close of a sender: %v", t.topic, err)
		}
	}
}

func (t *topic) sendNext(sender memstreamer.EventSender, headers map[memstreamer.Header]string) {
	number := t.last.Load() + 1
	t.mu.Lock()
	t.times[number%int64(len(t.times))] = time.Since(t.start)
	t.mu.Unlock()
	if err := sender.Send(context.Background(), strconv.FormatInt(number, 10), 1, headers); err != nil {
		t.failf("%s: Send: %v", t.topic, err)
	}
	t.last.Store(number)
	t.sent.Add(1)
}

// visit opens a receiver of a consumer that was never there, receives an event and
// goes. From the latest or the last, as an engine awaits a run, that is what is sent from
// then on, or was just before. From the oldest, it must not get what is kept for others
// alone nor, as it acks nothing, have it kept.
func (t *topic) visit(n *name, latest bool, last time.Duration, sender memstreamer.EventSender, headers map[memstreamer.Header]string) {
	r := n.openReceiver(latest, last)
	if r == nil {
		return
	}
	defer n.closeReceiver(r)
	if latest || last > 0 {
		t.sendNext(sender, headers)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d, err := n.receive(ctx, r)
	if err != nil {
		n.failf("Recv of an event that is there: %v", err)
	} else if latest {
		n.ack(d)
	}
}

// behind reports whether a receiver is so far behind that sending has to wait.
func (t *topic) behind() bool {
	for _, n := range t.names {
		if n.lag() > int64(len(t.times)/2) {
			return true
		}
	}
	return false
}

// before returns the number of the last event that was certainly sent before at,
// and of the last that may have been.
func (t *topic) before(at time.Time) (certain, possible int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// What is older than all that is remembered may have been sent at any time.
	last := t.last.Load()
	forgotten := max(0, last-int64(len(t.times))+2)
	possible = forgotten + int64(sort.Search(int(last-forgotten), func(i int) bool {
		return t.times[(forgotten+int64(i)+1)%int64(len(t.times))] >= at.Sub(t.start)
	}))
	if possible == forgotten {
		return 0, possible
	}
	// The one before was sent before this one was about to be.
	return possible - 1, possible
}
