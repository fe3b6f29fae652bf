package streamertest

import (
	"fmt"
	"time"

	"github.com/memstreamer/memstreamer"
)

// clock is the streamer's clock, read by events of a topic of its own. It may be that
// of a server, so ages are compared with it and not with this process's.
type clock struct {
	t *trial
	s memstreamer.EventSender
	r memstreamer.EventReceiver
}

func (t *trial) clock() clock {
	t.Helper()
	return clock{t, t.sender("clock"), t.receiver("clock", "a")}
}

func (c clock) now() time.Time {
	c.t.Helper()
	c.t.send(c.s, "tick")
	e, ack := c.t.recv(c.r, "tick")
	c.t.ack(ack)
	return e.CreatedAt
}

// pass returns once more than d has passed.
func (c clock) pass(d time.Duration) {
	c.t.Helper()
	from, began := c.now(), time.Now()
	for c.now().Sub(from) <= d {
		if waited := time.Since(began); waited > d+c.t.deadline {
			c.t.Fatalf("in %v, the CreatedAt of events has not moved on by %v: the streamer's clock has to run", waited, d)
		}
		<-time.After(d + 1)
	}
}

// streamFromLastStarts opens receivers of the last d when one event is certainly older
// than that, and the next one is certainly not: if NewReceiver took too long to know, it
// tries again with more time between events. They receive only when that one is older,
// too: where they start was determined by NewReceiver.
func streamFromLastStarts(t *trial) {
	clock, began := t.clock(), time.Now()
	for gap := t.quiet; ; gap *= 2 {
		topic, d := fmt.Sprint("orders ", gap), gap*19/10
		s := t.sender(topic)
		t.send(s, "old")
		clock.pass(gap)
		middle := clock.now()
		t.send(s, "middle")
		clock.pass(gap)
		t.send(s, "young")

		receivers := []memstreamer.EventReceiver{
			t.receiver(topic, "a", memstreamer.StreamFromLast(d)),
			t.receiver(topic, "a", memstreamer.StreamFromLast(d), memstreamer.Ephemeral()),
		}
		if clock.now().Sub(middle) <= d {
			t.send(s, "new")
			clock.pass(d)
			for _, r := range receivers {
				t.take(r, "middle", "young", "new")
			}
			return
		}
		if waited := time.Since(began); waited > t.deadline {
			t.Fatalf("in %v, no NewReceiver was fast enough to tell events of the last %v from older ones", waited, d)
		}
	}
}

// streamFromLastOnIdleTopic asks where all events are too old, and where there are none.
func streamFromLastOnIdleTopic(t *trial) {
	s := t.sender("orders")
	t.send(s, "old", "old too")
	t.clock().pass(t.quiet)
	for _, topic := range []string{"orders", "invoices"} {
		r := t.receiver(topic, "last", memstreamer.StreamFromLast(t.quiet))
		t.send(t.sender(topic), "first", "second")
		t.take(r, "first", "second")
	}
}

// streamFromLastResumes asks for less and for more than what a cursor that is there
// has not acked.
func streamFromLastResumes(t *trial) {
	s := t.sender("orders")
	t.send(s, "first", "second")
	r := t.receiver("orders", "busy", memstreamer.StreamFromLast(time.Hour))
	t.take(r, "first")
	t.close("receiver", r)
	t.close("receiver", t.receiver("orders", "idle"))
	t.close("receiver", t.receiver("orders", "latest", memstreamer.StreamFromLatest()))
	t.clock().pass(t.quiet)
	t.send(s, "third")

	for name, unacked := range map[string][]string{
		"busy":   {"second", "third"},
		"idle":   {"first", "second", "third"},
		"latest": {"third"},
	} {
		for _, d := range []time.Duration{t.quiet, time.Hour} {
			r := t.receiver("orders", name, memstreamer.StreamFromLast(d))
			t.recv(r, unacked[0])
			t.close("receiver", r)
		}
		t.take(t.receiver("orders", name), unacked...)
	}
}

func streamFromLastWithLatest(t *trial) {
	s, last, latest := t.sender("orders"), memstreamer.StreamFromLast(time.Hour), memstreamer.StreamFromLatest()
	t.send(s, "old")
	r, other := t.receiver("orders", "a", last, latest), t.receiver("orders", "b", latest, last)
	t.send(s, "new")
	t.take(r, "new")
	t.take(other, "new")
}

func streamFromLastRefused(t *trial) {
	for _, d := range []time.Duration{0, -1, -time.Hour} {
		last := memstreamer.StreamFromLast(d)
		t.names("NewReceiver", t.refusedReceiver(t.Context(), "orders", "a", last), "StreamFromLast")
		t.names("NewReceiver", t.refusedReceiver(t.Context(), "orders", "a", last, memstreamer.StreamFromLatest()), "StreamFromLast")
		t.names("NewReceiver", t.refusedReceiver(t.Context(), "orders", "a", memstreamer.Ephemeral(), last), "StreamFromLast")
	}
}
