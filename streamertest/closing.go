package streamertest

import (
	"io"

	"github.com/memstreamer/memstreamer"
)

func closeIsIdempotent(t *trial) {
	s, r := t.sender("orders"), t.receiver("orders", "a")
	closers := []struct {
		what string
		io.Closer
	}{{"sender", s}, {"receiver", r}}
	if t.closer != nil {
		closers = append(closers, struct {
			what string
			io.Closer
		}{"streamer", t.closer})
	}
	for range 2 {
		for _, c := range closers {
			t.close(c.what, c)
			t.close(c.what, c)
		}
	}
}

func closedReceiver(t *trial) {
	t.send(t.sender("orders"), "first", "second")
	r, other := t.receiver("orders", "a"), t.receiver("orders", "a")
	t.recv(r, "first")
	t.close("receiver", r)
	t.failed(memstreamer.ErrClosed, t.start(t.Context(), r))
	t.take(other, "first", "second")
	t.failed(memstreamer.ErrClosed, t.start(t.Context(), r))
}

// closedSender shows that a Send which was refused appended nothing by the event
// that another sender sends after it.
func closedSender(t *trial) {
	s, other := t.sender("orders"), t.sender("orders")
	t.send(s, "before")
	t.close("sender", s)
	t.is("Send after Close", s.Send(t.Context(), "refused", 1, nil), memstreamer.ErrClosed)
	t.send(other, "after")
	t.take(t.receiver("orders", "a"), "before", "after")
}

// closedSaysWhat wants the error of a closed sender, receiver or streamer to say which.
func closedSaysWhat(t *trial) {
	s, r := t.sender("orders"), t.receiver("orders", "reader")
	closedSender, closedReceiver := t.sender("orders"), t.receiver("orders", "reader")
	c := t.park(t.Context(), closedReceiver)[0]
	t.close("sender", closedSender)
	t.close("receiver", closedReceiver)
	t.names("Send after Close", closedSender.Send(t.Context(), "refused", 1, nil), t.topic("orders"))
	for _, c := range []*call{c, t.start(t.Context(), closedReceiver)} {
		t.failed(memstreamer.ErrClosed, c)
		t.names("Recv after Close", c.err, t.topic("orders"))
		t.names("Recv after Close", c.err, "reader")
	}
	if t.closer == nil {
		return
	}
	c = t.park(t.Context(), r)[0]
	t.close("streamer", t.closer)
	t.failed(memstreamer.ErrClosed, c)
	for what, err := range map[string]error{
		"Recv":        c.err,
		"Send":        s.Send(t.Context(), "refused", 1, nil),
		"NewSender":   t.refusedSender(t.Context(), "orders"),
		"NewReceiver": t.refusedReceiver(t.Context(), "orders", "reader"),
	} {
		t.names(what+" after Close of the streamer", err, "the streamer")
	}
}

func closedWakesRecv(t *trial) {
	r := t.receiver("orders", "a")
	calls := t.park(t.Context(), r, r, t.receiver("orders", "a"), t.receiver("orders", "b"))
	t.close("receiver", r)
	t.failed(memstreamer.ErrClosed, calls[:2]...)
	t.send(t.sender("orders"), "later")
	t.got("later", calls[2:]...)
}

func closedStreamer(t *trial) {
	s, r := t.sender("orders"), t.receiver("orders", "a")
	t.send(s, "waiting")
	t.close("streamer", t.closer)
	t.is("Send", s.Send(t.Context(), "refused", 1, nil), memstreamer.ErrClosed)
	t.failed(memstreamer.ErrClosed, t.start(t.Context(), r))
	t.is("NewSender", t.refusedSender(t.Context(), "orders"), memstreamer.ErrClosed)
	t.is("NewReceiver", t.refusedReceiver(t.Context(), "orders", "a"), memstreamer.ErrClosed)
	t.is("NewReceiver", t.refusedReceiver(t.Context(), "orders", "of a new name"), memstreamer.ErrClosed)
}

func closedStreamerWakesRecv(t *trial) {
	r := t.receiver("orders", "a")
	calls := t.park(t.Context(), r, r, t.receiver("orders", "b"), t.receiver("invoices", "a"))
	t.close("streamer", t.closer)
	t.failed(memstreamer.ErrClosed, calls...)
}
