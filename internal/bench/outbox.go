package bench

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/memstreamer/memstreamer"
)

// firstOrder is the number of the first foreign ID, so that all are of one length.
const firstOrder = 1_000_000

// ForeignID is that of an outbox's nth event.
func ForeignID(n int) string { return "order-" + strconv.Itoa(firstOrder+n) }

// number is the n that foreignID was made of.
func number(foreignID string) (n int, err error) {
	n, err = strconv.Atoi(strings.TrimPrefix(foreignID, "order-"))
	return n - firstOrder, err
}

// Outbox returns the foreign ID and the six headers that an engine's outbox
// sends with its nth event, with values of their real lengths. Like an outbox,
// which reads them from a record each time, it makes the map and the values
// that are an event's own afresh.
func Outbox[H ~string](topic string, n int) (foreignID string, headers map[H]string) {
	foreignID = ForeignID(n)
	return foreignID, map[H]string{
		H(memstreamer.HeaderWorkflowName):  "order-fulfilment",
		H(memstreamer.HeaderForeignID):     foreignID,
		H(memstreamer.HeaderTopic):         topic,
		H(memstreamer.HeaderRunID):         runID(n),
		H(memstreamer.HeaderRunState):      "2",
		H(memstreamer.HeaderRecordVersion): strconv.Itoa(1 + n%8),
	}
}

// runID is a UUID in its usual form.
func runID(n int) string {
	id := [16]byte{6: 0x40, 8: 0x80}
	binary.BigEndian.PutUint32(id[:], uint32(n)*2654435761)
	binary.BigEndian.PutUint32(id[12:], uint32(n))
	digits := hex.AppendEncode(make([]byte, 0, 32), id[:])
	return string(digits[:8]) + "-" + string(digits[8:12]) + "-" + string(digits[12:16]) + "-" + string(digits[16:20]) + "-" + string(digits[20:])
}
