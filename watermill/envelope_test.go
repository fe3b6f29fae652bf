package memwatermill

import (
	"context"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
)

// FuzzEnvelope sends messages of any UUID, metadata and payload through an event.
func FuzzEnvelope(f *testing.F) {
	f.Add("3fa1", "key", "value", []byte("payload"))
	f.Add("", "", "", []byte(nil))
	f.Add("a", "topic", "elsewhere", []byte{0xff, 0})
	f.Add("\xff", "_topic", "", []byte("topic"))
	f.Fuzz(func(t *testing.T, uuid, key, value string, payload []byte) {
		m := message.NewMessage(uuid, payload)
		m.Metadata.Set(key, value)
		m.Metadata.Set("topic", value)
		var e envelope
		if err := send(t.Context(), &e, m); err != nil {
			t.Error(err)
		}
		if topic, ok := e.Headers[topicKey]; ok {
			t.Errorf("%q would be sent to the topic %q", m.Metadata, topic)
		}
		if got := decode((*event)(&e)); !got.Equals(m) {
			t.Errorf("%q with %q and %q came as %q with %q and %q", m.UUID, m.Metadata, m.Payload, got.UUID, got.Metadata, got.Payload)
		}
	})
}

// envelope is a sender that keeps the event.
type envelope event

func (e *envelope) Send(_ context.Context, foreignID string, statusType int, headers map[string]string) error {
	*e = envelope{ForeignID: foreignID, Type: statusType, Headers: headers}
	return nil
}

func (e *envelope) Close() error { return nil }
