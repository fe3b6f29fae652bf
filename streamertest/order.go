package streamertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/memstreamer/memstreamer"
)

// order sends on two topics in turn, from two senders of one of them, and wants
// each receiver to get its topic's events in the order of the log, whether it
// was there before them or not.
func order(t *trial) {
	senders := []memstreamer.EventSender{t.sender("orders"), t.sender("invoices"), t.sender("orders")}
	early := []memstreamer.EventReceiver{t.receiver("orders", "early"), t.receiver("invoices", "early too")}
	var sent []string
	for i := range 30 {
		sent = append(sent, fmt.Sprint("event ", i))
		t.send(senders[i%len(senders)], sent[i])
	}
	late := []memstreamer.EventReceiver{t.receiver("orders", "late"), t.receiver("invoices", "late too")}

	for _, receivers := range [][]memstreamer.EventReceiver{early, late} {
		var last int64
		for i, foreignID := range sent {
			e, ack := t.recv(receivers[i%len(senders)%len(receivers)], foreignID)
			if e.ID <= last {
				t.Errorf("event %q has ID %d, after one sent earlier with ID %d", foreignID, e.ID, last)
			}
			last = e.ID
			t.ack(ack)
		}
	}
}

// visibleWhenSendReturns looks for the event in the log right after its Send: a
// receiver of the newest must not get it, one of the oldest must.
func visibleWhenSendReturns(t *trial) {
	s := t.sender("orders")
	for i := range 8 {
		before, after := fmt.Sprint("before ", i), fmt.Sprint("after ", i)
		t.send(s, before)
		latest := t.receiver("orders", fmt.Sprint("latest ", i), memstreamer.StreamFromLatest())
		t.send(s, after)
		t.take(latest, after)
	}
	for i := range 3 {
		t.take(t.receiver("orders", fmt.Sprint("oldest ", i)), "before 0", "after 0", "before 1")
	}
}

func recvWaits(t *trial) {
	s, elsewhere := t.sender("orders"), t.sender("invoices")
	calls := t.park(t.Context(), t.receiver("orders", "a"), t.receiver("orders", "b"), t.receiver("orders", "c"))
	t.send(elsewhere, "not for them")
	t.send(s, "awaited")
	t.got("awaited", calls...)

	r := t.receiver("orders", "d")
	t.take(r, "awaited")
	c := t.park(t.Context(), r)[0]
	t.send(s, "awaited again")
	t.got("awaited again", c)
}

func eventIsWhatWasSent(t *trial) {
	s, r, other := t.sender("orders"), t.receiver("orders", "a"), t.receiver("orders", "b")
	for _, sent := range []struct {
		foreignID  string
		statusType int
	}{
		{"order-1", 1},
		{"", 0},
		{"Größe 注文 🙂\r\n\x00", -1},
		{"the largest", math.MaxInt},
		{"the smallest", math.MinInt},
	} {
		if err := s.Send(t.Context(), sent.foreignID, sent.statusType, nil); err != nil {
			t.Fatalf("Send of %+v: %v", sent, err)
		}
		e, _ := t.recv(r, sent.foreignID)
		if e.Type != sent.statusType {
			t.Errorf("event %q has type %d, not %d", sent.foreignID, e.Type, sent.statusType)
		}
		if e.CreatedAt.IsZero() {
			t.Errorf("event %q has no CreatedAt", sent.foreignID)
		}
		again, ack := t.recv(r, sent.foreignID)
		t.same(again, e)
		t.ack(ack)
		elsewhere, ack := t.recv(other, sent.foreignID)
		t.same(elsewhere, e)
		t.ack(ack)
	}
}

// createdAtIsLocal wants times that compare as those of time.Unix do: local ones,
// without a monotonic reading.
func createdAtIsLocal(t *trial) {
	t.send(t.sender("orders"), "first")
	e, _ := t.recv(t.receiver("orders", "a"), "first")
	if at := e.CreatedAt; at != time.Unix(at.Unix(), int64(at.Nanosecond())) {
		t.Errorf("CreatedAt is %v, and not as time.Unix returns it", at)
	}
}

// same checks that two deliveries are of one event.
func (t *trial) same(got, want *memstreamer.Event) {
	t.Helper()
	if got.ID != want.ID || got.ForeignID != want.ForeignID || got.Type != want.Type || !got.CreatedAt.Equal(want.CreatedAt) {
		t.Errorf("an event was delivered with ID, ForeignID, Type and CreatedAt %d, %q, %d, %v and with %d, %q, %d, %v",
			want.ID, want.ForeignID, want.Type, want.CreatedAt, got.ID, got.ForeignID, got.Type, got.CreatedAt)
	}
	t.sameHeaders(got.Headers, want.Headers)
}

func idsWithoutGaps(t *trial) {
	topics := []string{t.topic("orders"), t.topic("invoices")}
	senders := []memstreamer.EventSender{t.sender(topics[0]), t.sender(topics[1])}
	closed := t.sender(topics[0])
	t.close("sender", closed)
	for i := range 10 {
		t.send(senders[i%2], fmt.Sprint("event ", i))
		if err := senders[i%2].Send(t.cancelled(), "refused", 1, nil); err == nil {
			t.Errorf("Send with a context that is done returned no error")
		}
		if err := closed.Send(t.Context(), "refused", 1, nil); err == nil {
			t.Errorf("Send after Close returned no error")
		}
	}
	receivers := []memstreamer.EventReceiver{t.receiver(topics[0], "a"), t.receiver(topics[1], "a")}
	for i := range 10 {
		e, ack := t.recv(receivers[i%2], fmt.Sprint("event ", i))
		if e.ID != int64(i+1) {
			t.Errorf("event %d of a new streamer has ID %d", i+1, e.ID)
		}
		t.ack(ack)
	}
}

// wakesAtOnce hands one event to and fro between two topics. Each time the Recv
// on the other side is waiting for it, and all of it gets the time of one thing
// that must happen: what polls takes too long.
func wakesAtOnce(t *trial) {
	const handoffs = 2000
	toPing, toPong := t.sender("ping"), t.sender("pong")
	hourly := memstreamer.WithReceiverPollFrequency(time.Hour)
	pings, pongs := t.receiver("ping", "a", hourly), t.receiver("pong", "a", hourly)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	relay := func(from memstreamer.EventReceiver, to memstreamer.EventSender) error {
		for range handoffs / 2 {
			err := takeAny(ctx, from)
			if err == nil {
				err = to.Send(ctx, "ball", 1, nil)
			}
			if err != nil {
				cancel()
				return err
			}
		}
		return nil
	}
	t.send(toPing, "ball")
	t.within(fmt.Sprint(handoffs, " hand-offs"), func() error {
		there := make(chan error)
		go func() { there <- relay(pings, toPong) }()
		back := relay(pongs, toPing)
		return errors.Join(<-there, back)
	})
}
