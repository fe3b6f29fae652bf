package streamertest

import (
	"context"
	"fmt"

	"github.com/memstreamer/memstreamer"
)

func atLeastOnce(t *trial) {
	t.send(t.sender("orders"), "first", "second")
	r := t.receiver("orders", "a")
	e, _ := t.recv(r, "first")
	for range 3 {
		again, _ := t.recv(r, "first")
		t.same(again, e)
		if again == e {
			t.Errorf("Recv returned one *Event twice, and not a fresh copy")
		}
	}
	_, ack := t.recv(r, "first")
	t.ack(ack)
	t.take(r, "second")
}

func unackedGoesToNextReceiver(t *trial) {
	t.send(t.sender("orders"), "first", "second")
	for range 3 {
		r := t.receiver("orders", "a")
		t.recv(r, "first")
		t.close("receiver", r)
	}
	t.take(t.receiver("orders", "a"), "first", "second")
}

// failingStep has a step fail on one event again and again, and close its receiver
// each time, as an engine's does. Meanwhile others send to its topic, receive and
// ack all of it, and open names that receive nothing.
func failingStep(t *trial) {
	const failures = 20
	s, other := t.sender("orders"), t.receiver("orders", "other")
	sent := []string{"first"}
	t.send(s, "first")
	for i := range failures {
		r := t.receiver("orders", "step")
		t.recv(r, "first")
		t.close("receiver", r)
		t.take(other, sent[i])
		t.close("receiver", t.receiver("orders", fmt.Sprint("visitor ", i)))
		sent = append(sent, fmt.Sprint("event ", i))
		t.send(s, sent[i+1])
	}
	t.take(t.receiver("orders", "step"), sent...)
}

// cancelledRecvLosesNothing sends to a name whose receivers just gave up, and
// then to one that gives up at the very time.
func cancelledRecvLosesNothing(t *trial) {
	s, r := t.sender("orders"), t.receiver("orders", "a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := t.park(ctx, r, r, t.receiver("orders", "a"))
	cancel()
	t.failed(context.Canceled, calls...)
	t.send(s, "first")
	t.take(r, "first")

	for i := range 50 {
		foreignID := fmt.Sprint("race ", i)
		ctx, cancel := context.WithCancel(t.Context())
		c := t.start(ctx, r)
		go cancel()
		t.send(s, foreignID)
		if err := t.returned(c); err != nil {
			t.Fatal(err)
		}
		if c.err != nil {
			t.is("Recv", c.err, context.Canceled)
		}
		t.take(r, foreignID)
	}
}

func ackCommits(t *trial) {
	t.send(t.sender("orders"), "first", "second", "third")
	r := t.receiver("orders", "a")
	t.take(r, "first")
	t.recv(r, "second")
	t.close("receiver", r)
	t.take(t.receiver("orders", "a"), "second", "third")
}

func ackIsIdempotent(t *trial) {
	t.send(t.sender("orders"), "first", "second", "third")
	r := t.receiver("orders", "a")
	_, ack := t.recv(r, "first")
	t.ack(ack)
	t.ack(ack)
	_, second := t.recv(r, "second")
	t.ack(ack)
	t.recv(r, "second")
	t.ack(second)
	t.ack(second)
	t.take(r, "third")
}

func ackFromAnyGoroutine(t *trial) {
	t.send(t.sender("orders"), "first", "second")
	r := t.receiver("orders", "a")
	_, ack := t.recv(r, "first")
	errs := make(chan error)
	const goroutines = 8
	for range goroutines {
		go func() { errs <- ack() }()
	}
	for range goroutines {
		if err := <-errs; err != nil {
			t.Errorf("Ack from one of %d goroutines: %v", goroutines, err)
		}
	}
	t.take(r, "second")
}

func ackAfterContext(t *trial) {
	t.send(t.sender("orders"), "first", "second")
	r := t.receiver("orders", "a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	acks := t.got("first", t.start(ctx, r))
	cancel()
	t.ack(acks...)
	t.take(r, "second")
}

func ackAfterClose(t *trial) {
	t.send(t.sender("orders"), "first", "second", "third")
	r := t.receiver("orders", "a")
	_, ack := t.recv(r, "first")
	t.close("receiver", r)
	t.ack(ack)
	next := t.receiver("orders", "a")
	_, second := t.recv(next, "second")
	t.close("receiver", next)
	t.ack(ack)
	t.ack(second)
	last := t.receiver("orders", "a")
	_, third := t.recv(last, "third")
	if t.inMemory && t.closer != nil {
		t.close("streamer", t.closer)
		t.ack(third)
	}
}

// lateAckChangesNothing has two deliveries of one event, and acks the second
// when the cursor is past it.
func lateAckChangesNothing(t *trial) {
	t.send(t.sender("orders"), "first", "second", "third", "fourth")
	r, other := t.receiver("orders", "a"), t.receiver("orders", "a")
	late := make([]memstreamer.Ack, 3)
	for i := range late {
		_, late[i] = t.recv(other, "first")
	}
	t.take(r, "first", "second")
	t.ack(late[0])
	t.recv(other, "third")
	t.take(r, "third")
	t.ack(late[1])
	t.close("receiver", r)
	t.close("receiver", other)
	t.ack(late[2])
	t.take(t.receiver("orders", "a"), "fourth")
}
