package sqlitestore

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/sqlite"
)

// event is what the engine's outbox sends for a record.
type event struct {
	runID   string
	status  int
	headers map[memstreamer.Header]string
}

// send sends e when tx is committed.
func (e *event) send(tx *sqlite.Tx) error { return tx.Send(e.topic(), e.runID, e.status, e.headers) }

func (e *event) topic() string { return e.headers[memstreamer.HeaderTopic] }

// decodeEvent returns the event that [workflow.MakeOutboxEventData] has encoded, as a
// message of protocol buffers that the engine keeps to itself:
//
//	message OutboxRecord {
//	  int64 foreign_id = 1; // no longer used
//	  int32 type = 2;
//	  map<string, string> headers = 3;
//	  string run_id = 4;
//	}
func decodeEvent(data []byte) (*event, error) {
	e := &event{headers: make(map[memstreamer.Header]string)}
	err := eachField(data, func(number protowire.Number, v uint64, b []byte) error {
		switch number {
		case 2:
			e.status = int(int32(v))
		case 3:
			var name, value string
			err := eachField(b, func(number protowire.Number, _ uint64, b []byte) error {
				switch number {
				case 1:
					name = string(b)
				case 2:
					value = string(b)
				}
				return nil
			})
			e.headers[memstreamer.Header(name)] = value
			return err
		case 4:
			e.runID = string(b)
		}
		return nil
	})
	if err == nil && (e.runID == "" || e.topic() == "") {
		err = errors.New("it has no run or no topic")
	}
	if err != nil {
		return nil, fmt.Errorf("an event of the outbox is not what luno/workflow v0.5.0 makes: %w", err)
	}
	return e, nil
}

// eachField calls f with the value of each field of a message: v for a number, b for a
// string or a message.
func eachField(message []byte, f func(number protowire.Number, v uint64, b []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var v uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(number, v, b); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
