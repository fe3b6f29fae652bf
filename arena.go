package memstreamer

import "encoding/binary"

// maxChunk is how many bytes of payloads share an allocation at most, unless one
// payload alone has more. It bounds how much dropped data a chunk can pin.
const maxChunk = 32 << 10

// arena keeps payloads, each behind its length, one after the other in chunks. They
// are dropped in the order in which they were put. A new chunk has room for as much
// as is kept, so that a large log has few chunks and a small one is small.
type arena struct {
	chunks [][]byte
	size   int  // bytes in all chunks
	oldest span // what is kept begins there, in chunks[0]
}

// span is where a payload begins. The offset fits because a payload begins in a
// chunk's first maxChunk bytes.
type span struct {
	chunk  uint32 // counted from the first chunk ever, modulo 2^32
	offset uint16
}

// put keeps a copy of payload.
func (a *arena) put(payload []byte) span {
	var prefix [binary.MaxVarintLen64]byte
	length := binary.AppendUvarint(prefix[:0], uint64(len(payload)))
	size := len(length) + len(payload)

	last := len(a.chunks) - 1
	if last < 0 || cap(a.chunks[last])-len(a.chunks[last]) < size {
		kept := a.size - int(a.oldest.offset)
		a.chunks = append(a.chunks, make([]byte, 0, max(size, min(kept, maxChunk))))
		last++
	}
	chunk := &a.chunks[last]
	offset := len(*chunk)
	*chunk = append(append(*chunk, length...), payload...)
	a.size += size
	return span{a.oldest.chunk + uint32(last), uint16(offset)}
}

// get returns a payload, which does not change.
func (a *arena) get(s span) []byte {
	b := a.chunks[s.chunk-a.oldest.chunk][s.offset:]
	length, n := binary.Uvarint(b)
	return b[n : n+int(length)]
}

// dropBefore forgets the payloads before that at s.
func (a *arena) dropBefore(s span) {
	for a.oldest.chunk != s.chunk {
		a.size -= len(a.chunks[0])
		a.chunks[0] = nil
		a.chunks = a.chunks[1:]
		a.oldest.chunk++
	}
	a.oldest.offset = s.offset
}
