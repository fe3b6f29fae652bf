package jetstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/memstreamer/memstreamer"
	"github.com/nats-io/nats.go"
)

// payload is the body of an event's message. It is JSON, which the nats command
// line shows as it is. Headers of NATS cannot hold line breaks.
type payload struct {
	ForeignID string                        `json:"foreign_id"`
	Type      int                           `json:"type"`
	Headers   map[memstreamer.Header]string `json:"headers"` // null and {} are different
	// What is not text is here instead, in base64.
	BinaryForeignID []byte      `json:"binary_foreign_id,omitempty"`
	BinaryHeaders   [][2][]byte `json:"binary_headers,omitempty"` // name and value
}

func encode(foreignID string, statusType int, headers map[memstreamer.Header]string) ([]byte, error) {
	p := payload{ForeignID: foreignID, Type: statusType, Headers: headers}
	if !isText(foreignID) {
		p.ForeignID, p.BinaryForeignID = "", []byte(foreignID)
	}
	for name, value := range headers {
		if isText(string(name)) && isText(value) {
			continue
		}
		if len(p.BinaryHeaders) == 0 {
			p.Headers = maps.Clone(headers)
		}
		delete(p.Headers, name)
		p.BinaryHeaders = append(p.BinaryHeaders, [2][]byte{[]byte(name), []byte(value)})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// isText reports whether s can be a string of JSON, and a short one: it is UTF-8,
// and at most one byte in 16 is a control character, which takes six bytes there.
func isText(s string) bool {
	controls := 0
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			controls++
		}
	}
	return controls*16 <= len(s) && utf8.ValidString(s)
}

// delivery is an event as the server delivered it to a cursor.
type delivery struct {
	msg       *nats.Msg
	id        int64
	createdAt time.Time

	// current is the call of next after whose beginning the server had this event
	// un-acked. Guarded by the cursor's mu.
	current uint64
	// returned is set once a Recv has returned it. Guarded by the cursor's mu.
	returned bool
}

// event decodes d anew, so that each caller gets its own.
func (d *delivery) event() (*memstreamer.Event, error) {
	e, err := decode(d.msg.Data)
	if err != nil {
		return nil, fmt.Errorf("message %d on subject %q is not an event, and holds up its topic until it is deleted: %w", d.id, d.msg.Subject, err)
	}
	e.ID, e.CreatedAt = d.id, d.createdAt
	return e, nil
}

func decode(body []byte) (*memstreamer.Event, error) {
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, err
	}
	e := &memstreamer.Event{ForeignID: p.ForeignID, Type: p.Type, Headers: p.Headers}
	if len(p.BinaryForeignID) > 0 {
		e.ForeignID = string(p.BinaryForeignID)
	}
	if len(p.BinaryHeaders) > 0 && e.Headers == nil {
		e.Headers = make(map[memstreamer.Header]string, len(p.BinaryHeaders))
	}
	for _, header := range p.BinaryHeaders {
		e.Headers[memstreamer.Header(header[0])] = string(header[1])
	}
	return e, nil
}
