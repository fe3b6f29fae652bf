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
	i := position - l.base
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
	p := unpacker(payload)
	foreignID = p.string()
	statusType = p.int()
	return foreignID, statusType, unpackHeaders[H](&p)
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

func unpackHeaders[H ~string](p *unpacker) map[H]string {
	n := p.uint()
	if n == 0 {
		return nil
	}
	headers := make(map[H]string, n-1)
	for range n - 1 {
		var name string
		if known := p.byte(); known > 0 {
			name = knownHeaders[known]
		} else {
			name = p.string()
		}
		headers[H(name)] = p.string()
	}
	return headers
}

// unpacker is the rest of a payload, read from its front. The strings it
// returns are parts of the payload and no copies.
type unpacker string

func (p *unpacker) byte() byte {
	b := (*p)[0]
	*p = (*p)[1:]
	return b
}

func (p *unpacker) uint() (n uint64) {
	for shift := 0; ; shift += 7 {
		b := p.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

// int undoes binary.AppendVarint, which keeps the sign in the lowest bit.
func (p *unpacker) int() int {
	n := p.uint()
	return int(int64(n>>1) ^ -int64(n&1))
}

func (p *unpacker) string() string {
	n := p.uint()
	s := (*p)[:n]
	*p = (*p)[n:]
	return string(s)
}
