package memwatermill

import (
	"context"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
)

// send sends m as an envelope: an event whose ForeignID is the UUID and the payload
// after it, whose Type tells where the UUID ends, and whose headers are the
// metadata. The Type is ^len(UUID), which is negative, as those of an engine's
// events are not.
func send(ctx context.Context, s sender, m *message.Message) error {
	headers := rename(m.Metadata, func(key string) string { return escapeMark + key })
	return s.Send(ctx, m.UUID+string(m.Payload), ^len(m.UUID), headers)
}

// decode returns the message of e, which it may keep parts of. An event that
// came from no Publish, but from a Send of the streamer's own, is a message with
// its ForeignID for a UUID and its headers for metadata, and has no payload.
func decode(e *event) *message.Message {
	end, headers := ^e.Type, e.Headers
	if end < 0 || end > len(e.ForeignID) {
		end = len(e.ForeignID)
	} else {
		headers = rename(headers, func(key string) string { return strings.TrimPrefix(key, escapeMark) })
	}
	m := message.NewMessage(e.ForeignID[:end], message.Payload(e.ForeignID[end:]))
	if headers != nil {
		m.Metadata = headers
	}
	return m
}

// A header named topic would send the event to another topic. That key of the
// metadata is written with a _ before it, and so are those that look like this.
const (
	topicKey   = string(memstreamer.HeaderTopic)
	escapeMark = "_"
)

func isEscaped(key string) bool { return strings.TrimLeft(key, escapeMark) == topicKey }

// rename returns m with the keys that have to be renamed. Where there is none,
// as is usual, that is m itself.
func rename(m map[string]string, to func(key string) string) map[string]string {
	for key := range m {
		if isEscaped(key) {
			return renamed(m, to)
		}
	}
	return m
}

func renamed(m map[string]string, to func(key string) string) map[string]string {
	copied := make(map[string]string, len(m))
	for key, value := range m {
		if isEscaped(key) {
			key = to(key)
		}
		copied[key] = value
	}
	return copied
}
