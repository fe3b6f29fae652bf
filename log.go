package memstreamer

import (
	"encoding/binary"
	"time"
)

// segmentSize is how many events a full segment holds. A log grows by whole
// segments, so that an append never copies the events before it.
const segmentSize = 256

// log holds the events of one topic in the order of their IDs. A position
// counts the events ever appended to it: the first is at 0.
type log struct {
	segments [][]entry // all but the last are full
	base     int64     // the position where segments starts
	first    int64     // the position of the oldest event kept
	next     int64     // the position of the next append
	caughtUp int32     // the open cursors at next
}

// entry is what the log keeps of an event. Everything that Send was given is
// in payload, a copy in one allocation with nothing in it for the garbage
// collector to scan; as a string it can be handed out without another copy.
type entry struct {
	id        int64
	createdAt time.Time
	payload   string
	added     time.Duration // by the clock of retention
	holders   int32         // the open cursors at this event, which is kept for them
}

func (l *log) append(e entry) {
	last := len(l.segments) - 1
	if last < 0 || len(l.segments[last]) == segmentSize {
		var segment []entry
		if last >= 0 {
			segment = make([]entry, 0, segmentSize)
		}
		// The first segment grows by doubling: most of many topics stay small.
		l.segments = append(l.segments, segment)
		last++
	}
	e.holders, l.caughtUp = l.caughtUp, 0
	l.segments[last] = append(l.segments[last], e)
	l.next++
}

// at returns the event at a position from first to before next.
func (l *log) at(position int64) *entry {
	i := uint64(position - l.base)
	return &l.segments[i/segmentSize][i%segmentSize]
}

// holders returns the number of open cursors at a position from first to next.
func (l *log) holders(position int64) *int32 {
	if position == l.next {
		return &l.caughtUp
	}
	return &l.at(position).holders
}

func (l *log) kept() int { return int(l.next - l.first) }

func (l *log) oldest() *entry { return l.at(l.first) }

// dropOldest forgets the oldest event, and its segment with the last of it.
func (l *log) dropOldest() {
	*l.oldest() = entry{}
	l.first++
	if l.first == l.next {
		l.segments, l.base = nil, l.next
	} else if l.first-l.base == segmentSize {
		l.segments[0] = nil
		l.segments, l.base = l.segments[1:], l.first
	}
}

// knownHeaders are the names an engine sets on each event, in the order of the
// single bytes that stand for them in a payload. Zero stands for a name that is
// spelled out.
var knownHeaders = [...]string{
	1: string(HeaderWorkflowName),
	2: string(HeaderForeignID),
	3: string(HeaderTopic),
	4: string(HeaderRunID),
	5: string(HeaderRunState),
	6: string(HeaderRecordVersion),
	7: string(HeaderConnectorData),
}

func knownHeader(name string) byte {
	switch Header(name) {
	case HeaderWorkflowName:
		return 1
	case HeaderForeignID:
		return 2
	case HeaderTopic:
		return 3
	case HeaderRunID:
		return 4
	case HeaderRunState:
		return 5
	case HeaderRecordVersion:
		return 6
	case HeaderConnectorData:
		return 7
	}
	return 0
}

// packEvent makes the payload of an event: its strings with their lengths
// before them, and its type between.
func packEvent[H ~string](foreignID string, statusType int, headers map[H]string) string {
	var scratch [256]byte
	b := appendString(scratch[:0], foreignID)
	b = binary.AppendVarint(b, int64(statusType))
	b = appendHeaders(b, headers)
	return string(b)
}

func unpackEvent[H ~string](payload string) (foreignID string, statusType int, headers map[H]string) {
	foreignID, payload = cutString(payload)
	statusType, payload = cutInt(payload)
	return foreignID, statusType, unpackHeaders[H](payload)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendHeaders writes one more than the number of headers, and zero for nil:
// nil and empty are told apart.
func appendHeaders[H ~string](b []byte, headers map[H]string) []byte {
	if headers == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(headers))+1)
	for name, value := range headers {
		known := knownHeader(string(name))
		b = append(b, known)
		if known == 0 {
			b = appendString(b, string(name))
		}
		b = appendString(b, value)
	}
	return b
}

func unpackHeaders[H ~string](payload string) map[H]string {
	n, payload := cutUint(payload)
	if n == 0 {
		return nil
	}
	headers := make(map[H]string, n-1)
	for range n - 1 {
		var name, value string
		known := payload[0]
		payload = payload[1:]
		if known > 0 {
			name = knownHeaders[known]
		} else {
			name, payload = cutString(payload)
		}
		value, payload = cutString(payload)
		headers[H(name)] = value
	}
	return headers
}

// The functions below read one value off the front of a payload and return it
// with the rest. Strings are parts of the payload, and no copies.

func cutString(payload string) (s, rest string) {
	n, rest := cutUint(payload)
	return rest[:n], rest[n:]
}

func cutUint(payload string) (n uint64, rest string) {
	if b := payload[0]; b < 0x80 {
		return uint64(b), payload[1:]
	}
	return cutLongUint(payload)
}

func cutLongUint(payload string) (n uint64, rest string) {
	for i := 0; ; i++ {
		b := payload[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return n, payload[i+1:]
		}
	}
}

// cutInt undoes binary.AppendVarint, which keeps the sign in the lowest bit.
func cutInt(payload string) (n int, rest string) {
	u, rest := cutUint(payload)
	return int(int64(u>>1) ^ -int64(u&1)), rest
}
