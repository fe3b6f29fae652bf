package streamertest

import (
	"fmt"

	"github.com/memstreamer/memstreamer"
)

func (t *trial) ephemeral(topic, name string, opts ...memstreamer.ReceiverOption) memstreamer.EventReceiver {
	t.Helper()
	return t.receiver(topic, name, append(opts, memstreamer.Ephemeral())...)
}

// ephemeralHasItsOwnPosition reads by ephemeral receivers of one name, beside a
// consumer of that name.
func ephemeralHasItsOwnPosition(t *trial) {
	s := t.sender("orders")
	t.send(s, "first", "second")
	e, other, r := t.ephemeral("orders", "a"), t.ephemeral("orders", "a"), t.receiver("orders", "a")
	t.take(e, "first", "second")
	t.recv(other, "first")
	t.take(other, "first")
	t.take(r, "first", "second")
	t.take(other, "second")
	t.take(t.ephemeral("orders", "a"), "first", "second")
	latest := t.ephemeral("orders", "a", memstreamer.StreamFromLatest())

	calls := t.park(t.Context(), e, other, r, latest)
	t.send(s, "third")
	t.ack(t.got("third", calls...)[0])
	t.send(s, "fourth")
	t.take(e, "fourth")
	t.take(other, "third", "fourth")
	t.take(latest, "third", "fourth")
	t.take(r, "third", "fourth")
}

// ephemeralIsForgotten closes ephemeral receivers beside a consumer of their name, and
// before there is one. StreamFromLatest shows that a consumer is new.
func ephemeralIsForgotten(t *trial) {
	s := t.sender("orders")
	t.send(s, "first", "second")
	e := t.ephemeral("orders", "a")
	t.take(e, "first")
	t.close("ephemeral receiver", e)
	t.failed(memstreamer.ErrClosed, t.start(t.Context(), e))

	e = t.ephemeral("orders", "a")
	t.take(e, "first")
	r := t.receiver("orders", "a", memstreamer.StreamFromLatest())
	t.close("ephemeral receiver", e)
	t.send(s, "third", "fourth")
	t.take(r, "third")
	t.close("receiver", r)

	e = t.ephemeral("orders", "a")
	t.take(e, "first", "second", "third", "fourth")
	t.close("ephemeral receiver", e)
	r = t.receiver("orders", "a")
	t.take(r, "fourth")

	e = t.ephemeral("orders", "a", memstreamer.StreamFromLatest())
	calls := t.park(t.Context(), e, r, t.ephemeral("orders", "a", memstreamer.StreamFromLatest()))
	t.close("ephemeral receiver", e)
	t.failed(memstreamer.ErrClosed, calls[0])
	t.send(s, "fifth")
	t.got("fifth", calls[1:]...)
}

// ephemeralHoldsEvents has others ack each event before an ephemeral receiver gets it.
func ephemeralHoldsEvents(t *trial) {
	s, r, e := t.sender("orders"), t.receiver("orders", "a"), t.ephemeral("orders", "a")
	var sent []string
	for i := range 20 {
		sent = append(sent, fmt.Sprint("event ", i))
		t.send(s, sent[i])
		t.take(r, sent[i])
		t.close("ephemeral receiver", t.ephemeral("orders", "a"))
		t.recv(e, sent[0])
	}
	t.close("receiver", r)
	t.take(e, sent...)
}

// ephemeralLateAck acks an event of an ephemeral receiver that was closed, which all
// others of its name have yet to ack.
func ephemeralLateAck(t *trial) {
	t.send(t.sender("orders"), "first", "second")
	e, r, other := t.ephemeral("orders", "a"), t.receiver("orders", "a"), t.ephemeral("orders", "a")
	_, ack := t.recv(e, "first")
	t.close("ephemeral receiver", e)
	next := t.ephemeral("orders", "a")
	t.ack(ack, ack)
	for _, r := range []memstreamer.EventReceiver{r, other, next, t.ephemeral("orders", "a")} {
		t.take(r, "first")
	}
	t.ack(ack)
	_, last := t.recv(next, "second")
	t.take(r, "second")
	if t.inMemory && t.closer != nil {
		t.close("streamer", t.closer)
		t.ack(ack, last)
	}
}
