package jetstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/memstreamer/memstreamer"
	"github.com/nats-io/nats.go"
)

// payload is the body of an event's message. JSON, not headers of NATS: those
// cannot hold line breaks, and a nats command line shows this as it is.
type payload struct {
	ForeignID string                        `json:"foreign_id"`
	Type      int                           `json:"type"`
	Headers   map[memstreamer.Header]string `json:"headers"` // null and {} are told apart
}

func encode(foreignID string, statusType int, headers map[memstreamer.Header]string) ([]byte, error) {
	// JSON would replace what is not UTF-8 without a word.
	if !utf8.ValidString(foreignID) {
		return nil, errors.New("foreignID is not valid UTF-8")
	}
	for name, value := range headers {
		if !utf8.ValidString(string(name)) || !utf8.ValidString(value) {
			return nil, fmt.Errorf("header %q is not valid UTF-8", name)
		}
	}
	return json.Marshal(payload{foreignID, statusType, headers})
}

// delivery is an event as the server delivered it to a cursor.
type delivery struct {
	msg       *nats.Msg
	id        int64
	createdAt time.Time

	// current is the cursor's count of arrivals at which the server was last
	// known to hold this event un-acked for us. Guarded by the cursor's mu.
	current uint64
	// returned is set once a Recv has returned it. Guarded by the cursor's mu.
	returned bool
}

// event decodes d anew, so that each caller gets its own.
func (d *delivery) event() (*memstreamer.Event, error) {
	var p payload
	if err := json.Unmarshal(d.msg.Data, &p); err != nil {
		return nil, fmt.Errorf("message %d on subject %q is not an event, and holds up its topic until it is deleted: %w", d.id, d.msg.Subject, err)
	}
	return &memstreamer.Event{
		ID:        d.id,
		ForeignID: p.ForeignID,
		Type:      p.Type,
		Headers:   p.Headers,
		CreatedAt: d.createdAt,
	}, nil
}
