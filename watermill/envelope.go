package memwatermill

import (
	"context"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
)

// envelope is a message as the streamer carries it, in what an event has: a
// ForeignID, which is the UUID and the payload after it; a Type, which tells
// where the UUID ends; and headers, which are the metadata.
type envelope struct {
	text    string
	end     int // ^len(UUID): negative, which the types of an engine's events are not
	headers map[string]string
}

func encode(m *message.Message) envelope {
	return envelope{m.UUID + string(m.Payload), ^len(m.UUID), rename(m.Metadata, escape)}
}

func (e envelope) send(ctx context.Context, s sender) error {
	return s.Send(ctx, e.text, e.end, e.headers)
}

// decode returns the message of e, which it may keep parts of. An event that
// came from no Publish, but from a Send of the streamer's own, is a message with
// its ForeignID for a UUID and its headers for metadata, and has no payload.
func decode(e *event) *message.Message {
	end, headers := ^e.Type, e.Headers
	if end < 0 || end > len(e.ForeignID) {
		end = len(e.ForeignID)
	} else {
		headers = rename(headers, unescape)
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

func isEscaped(key string) bool {
	return strings.HasSuffix(key, topicKey) && strings.Trim(key[:len(key)-len(topicKey)], escapeMark) == ""
}

func escape(key string) string { return escapeMark + key }

func unescape(key string) string { return strings.TrimPrefix(key, escapeMark) }

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
