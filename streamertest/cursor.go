package streamertest

import (
	"fmt"

	"github.com/memstreamer/memstreamer"
)

// cursorPerTopicAndName has each name read all of one topic before it starts on
// the other, whose events are older and newer than those.
func cursorPerTopicAndName(t *trial) {
	toOrders, toInvoices := t.sender("orders"), t.sender("invoices")
	for i := range 3 {
		t.send(toOrders, fmt.Sprint("order ", i))
		t.send(toInvoices, fmt.Sprint("invoice ", i))
	}
	a, b := t.receiver("orders", "a"), t.receiver("orders", "b")
	aInvoices, bInvoices := t.receiver("invoices", "a"), t.receiver("invoices", "b")
	t.take(a, "order 0", "order 1", "order 2")
	t.take(aInvoices, "invoice 0", "invoice 1", "invoice 2")
	t.take(bInvoices, "invoice 0", "invoice 1", "invoice 2")
	t.take(b, "order 0", "order 1", "order 2")
}

func cursorSurvivesClose(t *trial) {
	s := t.sender("orders")
	t.send(s, "first", "second", "third", "fourth")
	r := t.receiver("orders", "a")
	t.take(r, "first")
	t.close("receiver", r)
	t.close("sender", s)
	r = t.receiver("orders", "a")
	t.take(r, "second", "third")
	t.close("receiver", r)
	// One that does not even Recv leaves the cursor alone.
	t.close("receiver", t.receiver("orders", "a"))
	t.take(t.receiver("orders", "a"), "fourth")
}

func sharedCursor(t *trial) {
	s := t.sender("orders")
	t.send(s, "first", "second", "third")
	r, other := t.receiver("orders", "a"), t.receiver("orders", "a")
	_, ack := t.recv(r, "first")
	t.recv(other, "first")
	t.ack(ack)
	_, ack = t.recv(other, "second")
	t.recv(r, "second")
	t.ack(ack)
	t.take(r, "third")

	calls := t.park(t.Context(), r, other)
	t.send(s, "fourth")
	t.ack(t.got("fourth", calls...)[0])
	t.send(s, "fifth")
	t.recv(r, "fifth")
	t.recv(other, "fifth")
}

// streamFromLatestSkipsOlder waits before it sends, so that only the older
// events are in question.
func streamFromLatestSkipsOlder(t *trial) {
	s := t.sender("orders")
	t.send(s, "old", "older than the receiver")
	latest := t.receiver("orders", "latest", memstreamer.StreamFromLatest())
	c := t.park(t.Context(), latest)[0]
	t.send(s, "new")
	t.got("new", c)
	t.take(latest, "new")
	t.take(t.receiver("orders", "oldest"), "old", "older than the receiver", "new")
}

func streamFromLatestPins(t *trial) {
	s := t.sender("orders")
	t.send(s, "old")
	latest := t.receiver("orders", "latest", memstreamer.StreamFromLatest())
	t.send(s, "before the first Recv", "new")
	t.take(latest, "before the first Recv", "new")
}

func streamFromLatestOnEmptyTopic(t *trial) {
	// Events of another topic do not make this one less empty.
	t.send(t.sender("invoices"), "elsewhere")
	latest := t.receiver("orders", "latest", memstreamer.StreamFromLatest())
	t.send(t.sender("orders"), "first", "second")
	t.take(latest, "first", "second")
}

// streamFromLatestResumes asks for the latest where there is a cursor already:
// one that has acked, one that never received, and one made without the option.
func streamFromLatestResumes(t *trial) {
	s := t.sender("orders")
	t.send(s, "first")
	t.close("receiver", t.receiver("orders", "from oldest"))
	t.close("receiver", t.receiver("orders", "idle", memstreamer.StreamFromLatest()))
	r := t.receiver("orders", "busy", memstreamer.StreamFromLatest())
	t.send(s, "second", "third")
	t.take(r, "second")
	t.close("receiver", r)

	again := func(name string) memstreamer.EventReceiver {
		t.Helper()
		return t.receiver("orders", name, memstreamer.StreamFromLatest())
	}
	t.take(again("busy"), "third")
	t.take(again("idle"), "second", "third")
	t.take(again("from oldest"), "first", "second", "third")
	// The option belongs to the name on this topic alone.
	toElsewhere := t.sender("invoices")
	t.send(toElsewhere, "old")
	r = t.receiver("invoices", "busy", memstreamer.StreamFromLatest())
	t.send(toElsewhere, "new")
	t.take(r, "new")
}
