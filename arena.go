package memstreamer

import "encoding/binary"

// chunkSize is how many bytes of payloads share an allocation, unless one payload
// has more. It bounds what payloads that are gone can keep alive.
const chunkSize = 32 << 10

// arena keeps payloads, each behind its length, one after the other in large
// chunks. They are dropped in the order in which they were put.
type arena struct {
	chunks [][]byte
	base   uint32 // number of chunks[0]
}

// span is where a payload begins. The offset fits because a payload begins in a
// chunk's first chunkSize bytes.
type span struct {
	chunk  uint32
	offset uint16
}

// put keeps a copy of payload.
func (a *arena) put(payload []byte) span {
	var prefix [binary.MaxVarintLen64]byte
	length := binary.AppendUvarint(prefix[:0], uint64(len(payload)))
	size := len(length) + len(payload)

	last := len(a.chunks) - 1
	if last < 0 {
		// The first chunk grows by doubling: most of many topics stay small.
		a.chunks = append(a.chunks, nil)
		last++
	} else if len(a.chunks[last])+size > chunkSize {
		a.chunks = append(a.chunks, make([]byte, 0, max(chunkSize, size)))
		last++
	}
	offset := len(a.chunks[last])
	a.chunks[last] = append(append(a.chunks[last], length...), payload...)
	return span{a.base + uint32(last), uint16(offset)}
}

// get returns a payload, which does not change.
func (a *arena) get(s span) []byte {
	b := a.chunks[s.chunk-a.base][s.offset:]
	length, n := binary.Uvarint(b)
	return b[n : n+int(length)]
}

// dropBefore forgets the payloads in the chunks before that of s.
func (a *arena) dropBefore(s span) {
	for a.base != s.chunk {
		a.chunks[0] = nil
		a.chunks = a.chunks[1:]
		a.base++
	}
}
