package memwatermill

import (
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
		e := encode(m)
		for name := range e.headers {
			if name == topicKey {
				t.Errorf("%q would be sent to the topic %q", m.Metadata, e.headers[name])
			}
		}
		if got := decode(&event{ForeignID: e.text, Type: e.end, Headers: e.headers}); !got.Equals(m) {
			t.Errorf("%q with %q and %q came as %q with %q and %q", m.UUID, m.Metadata, m.Payload, got.UUID, got.Metadata, got.Payload)
		}
	})
}
