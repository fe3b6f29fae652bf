package streamertest

import (
	"strings"

	"github.com/memstreamer/memstreamer"
)

func topicHeader(t *trial) {
	s, r, elsewhere := t.sender("orders"), t.receiver("orders", "a"), t.receiver("invoices", "a")
	to := func(topic string) map[memstreamer.Header]string {
		return map[memstreamer.Header]string{memstreamer.HeaderTopic: t.topic(topic)}
	}
	t.sendWith(s, "by its header", to("invoices"))
	t.sendWith(s, "by its sender", map[memstreamer.Header]string{memstreamer.HeaderRunID: t.topic("invoices")})
	t.sendWith(s, "empty header", to(""))
	t.sendWith(s, "by both", to("orders"))
	t.sendWith(s, "last", nil)
	t.send(t.sender("invoices"), "last")

	t.take(elsewhere, "by its header", "last")
	t.take(r, "by its sender", "empty header", "by both", "last")
}

// topicHeaderWakes parks a receiver on the topic of a header, and one on the
// sender's own topic, which has nothing to return.
func topicHeaderWakes(t *trial) {
	s := t.sender("orders")
	calls := t.park(t.Context(), t.receiver("invoices", "a"), t.receiver("orders", "a"))
	t.sendWith(s, "by its header", map[memstreamer.Header]string{memstreamer.HeaderTopic: t.topic("invoices")})
	t.got("by its header", calls[0])
	t.send(s, "by its sender")
	t.got("by its sender", calls[1])
}

// awkward are names that differ from each other, and that a broker or a file
// system may not take as they are.
var awkward = []string{
	"orders", "Orders", "ORDERS", "orders ", " orders", "orders\n", "orders\x00",
	"orders.paid", "orders paid", "orders_paid", "orders-paid", "orders/paid", `orders\paid`, "orders%2epaid", "orders:paid",
	"*", "orders.*", "orders*", ">", "orders.>", "?", "#", "$JS.API.INFO", ".", "..", "...", "-", "_",
	"größe", "gro\u0308ße", "注文", "заказы", "🙂",
	strings.Repeat("long ", 60), strings.Repeat("long ", 60) + "er",
}

// awkwardNames uses them side by side, so that two which are mixed up, or one
// which matches another, show.
func awkwardNames(t *trial) {
	s := t.sender("all")
	receivers := make([]memstreamer.EventReceiver, len(awkward))
	byName := make([]memstreamer.EventReceiver, len(awkward))
	for i, name := range awkward {
		receivers[i] = t.receiver(name, name)
		byName[i] = t.receiver("all", name)
	}
	for _, name := range awkward {
		t.send(t.sender(name), "to "+name, "last to "+name)
	}
	t.send(s, "to all", "last to all")
	for i, name := range awkward {
		t.take(receivers[i], "to "+name, "last to "+name)
		t.take(byName[i], "to all", "last to all")
	}
}
