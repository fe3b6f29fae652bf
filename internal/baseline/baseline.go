// Package baseline holds the two streamers that memstreamer is measured
// against. Both are what one would write without much thought for the cost of
// waiting, and correct: events in order, at least once, cursors by topic and
// name. They leave out isolation (the header map given to Send is the one that
// every receiver gets) and the refusal of empty names.
package baseline

import "github.com/memstreamer/memstreamer"

// entry is one event of a log that all topics share.
type entry struct {
	topic string
	event *memstreamer.Event
}

// cursorKey names a cursor.
type cursorKey struct{ topic, name string }

// topicOf is the topic of an event with these headers, from a sender of the
// topic own.
func topicOf(headers map[memstreamer.Header]string, own string) string {
	if topic := headers[memstreamer.HeaderTopic]; topic != "" {
		return topic
	}
	return own
}

func receiverOptions(opts []memstreamer.ReceiverOption) memstreamer.ReceiverOptions {
	var o memstreamer.ReceiverOptions
	for _, opt := range opts {
		opt(&o)
	}
	return o
}
