package streamertest

import (
	"fmt"
	"maps"
	"strings"

	"github.com/memstreamer/memstreamer"
)

func isolationOfSentHeaders(t *trial) {
	s, r := t.sender("orders"), t.receiver("orders", "a")
	headers := map[memstreamer.Header]string{memstreamer.HeaderRunID: "run-1", "removed": "kept"}
	want := maps.Clone(headers)
	t.sendWith(s, "first", headers)
	headers[memstreamer.HeaderRunID] = "changed"
	headers["added"] = "later"
	delete(headers, "removed")

	e, _ := t.recv(r, "first")
	t.sameHeaders(e.Headers, want)
}

func isolationOfReceivedEvents(t *trial) {
	headers := map[memstreamer.Header]string{memstreamer.HeaderRunID: "run-1", "removed": "kept"}
	t.sendWith(t.sender("orders"), "first", headers)
	r, other := t.receiver("orders", "a"), t.receiver("orders", "b")
	e, _ := t.recv(r, "first")
	otherHas, _ := t.recv(other, "first")
	original := *e
	original.Headers = maps.Clone(e.Headers)

	*e = memstreamer.Event{ID: -1, ForeignID: "changed", Type: -1, Headers: e.Headers}
	e.Headers[memstreamer.HeaderRunID] = "changed"
	e.Headers["added"] = "later"
	delete(e.Headers, "removed")

	t.same(otherHas, &original)
	again, _ := t.recv(r, "first")
	t.same(again, &original)
	otherHas, _ = t.recv(other, "first")
	t.same(otherHas, &original)
	t.sameHeaders(headers, original.Headers)
}

// sameHeaders checks that an event has the headers want, and names one that differs.
func (t *trial) sameHeaders(got, want map[memstreamer.Header]string) {
	t.Helper()
	if len(got) != len(want) || (got == nil) != (want == nil) {
		t.Errorf("an event has %d headers (nil: %t), not %d (nil: %t)", len(got), got == nil, len(want), want == nil)
	}
	for name, value := range want {
		if has, present := got[name]; !present || has != value {
			t.Errorf("header %q of an event is %.40q (present: %t), not %.40q", name, has, present, value)
			return
		}
	}
}

func headersKept(t *trial) {
	many := make(map[memstreamer.Header]string)
	for i := range 300 {
		many[memstreamer.Header(fmt.Sprint("header ", i))] = fmt.Sprint("value ", i)
	}
	kept := []map[memstreamer.Header]string{
		nil,
		{},
		{memstreamer.HeaderRunID: "run-1"},
		{memstreamer.HeaderRunID: ""},
		{"": "of no name"},
		{
			memstreamer.HeaderWorkflowName:  "fulfilment",
			memstreamer.HeaderForeignID:     "order-1",
			memstreamer.HeaderTopic:         t.topic("orders"),
			memstreamer.HeaderRunID:         "run-1",
			memstreamer.HeaderRunState:      "2",
			memstreamer.HeaderRecordVersion: "3",
			memstreamer.HeaderConnectorData: `{"a": "b"}`,
		},
		{"case": "lower", "Case": "Title", "CASE": "UPPER"},
		{"Größe 注文 🙂": "Größe 注文 🙂", "a: b": "c: d", "line\r\nbreak": "line\r\nbreak\n", "nul\x00": "\x00"},
		{" space ": " space ", "tab\t": "\t", "tail": "\n"},
		{"large": strings.Repeat("0123456789", 2000)},
		many,
	}
	s, r := t.sender("orders"), t.receiver("orders", "a")
	for i, headers := range kept {
		t.sendWith(s, fmt.Sprint("event ", i), headers)
	}
	for i, headers := range kept {
		e, ack := t.recv(r, fmt.Sprint("event ", i))
		t.sameHeaders(e.Headers, headers)
		t.ack(ack)
	}
}
