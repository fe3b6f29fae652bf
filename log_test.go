package memstreamer

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSegmentsGrowAndShrink(t *testing.T) {
	const values = 3*segmentSize + 1
	var s segments[*int]
	push := func(n int) {
		for range n {
			i := int(s.end)
			s.push(&i)
			require.NoError(t, s.check())
		}
	}
	requireValues := func() {
		for position := s.first; position < s.end; position++ {
			require.EqualValues(t, position, **s.at(position))
		}
	}
	push(values)
	require.Len(t, s.parts, 4)
	requireValues()
	for range segmentSize + 1 {
		s.dropFirst()
		require.NoError(t, s.check())
	}
	require.Len(t, s.parts, 3)
	requireValues()
	for s.len() > 0 {
		s.dropFirst()
	}
	require.NoError(t, s.check())
	require.Nil(t, s.parts)

	push(values)
	requireValues()
	parts := s.parts
	for range values {
		s.dropLast()
		require.NoError(t, s.check())
		requireValues()
		if last := s.parts[len(s.parts)-1]; len(last) < segmentSize {
			require.Nil(t, last[:len(last)+1][len(last)], "a value that is gone is still referred to")
		}
	}
	require.Len(t, s.parts, 1, "room for one value stays")
	for _, part := range parts[1:] {
		require.Nil(t, part, "a segment that is gone is still referred to")
	}

	// Back and forth, also across a segment's end, nothing is allocated.
	for _, values := range []int{0, 1, segmentSize - 1, segmentSize, 2 * segmentSize} {
		for s.len() < values {
			push(1)
		}
		v := new(int)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			s.push(v)
			s.push(v)
			s.dropLast()
			s.dropLast()
		}))
	}
	require.NoError(t, s.check())
	for s.len() > segmentSize/2 {
		s.dropLast()
	}
	require.Len(t, s.parts, 1)
}

// A short sequence stays as large as it needs to be, however much passes through,
// and becomes so again after a burst.
func TestShortSegmentsStaySmall(t *testing.T) {
	var s segments[*int]
	pass := func(n int) {
		for range n {
			s.push(new(int))
			s.dropFirst()
			require.NoError(t, s.check())
			for _, v := range s.parts[0][len(s.parts[0]):cap(s.parts[0])] {
				require.Nil(t, v, "a value that is gone is still referred to")
			}
		}
	}
	for range 3 {
		s.push(new(int))
	}
	pass(10 * segmentSize)
	require.Len(t, s.parts, 1)
	require.LessOrEqual(t, cap(s.parts[0]), 8)
	require.Less(t, testing.AllocsPerRun(10*segmentSize, func() { s.push(nil); s.dropFirst() }), 1.0)

	for range 2 * segmentSize {
		s.push(new(int))
	}
	require.Len(t, s.parts, 3)
	for s.len() > 3 {
		s.dropFirst()
	}
	pass(2 * segmentSize)
	require.LessOrEqual(t, cap(s.parts[0]), 8)

	// One that is half of its segment long does not move at each push.
	for s.len() < segmentSize-1 {
		s.push(nil)
	}
	s.dropFirst()
	base := s.base
	for len(s.parts) == 1 {
		s.push(nil)
	}
	require.Equal(t, base, s.base)
}

func TestSegmentsShift(t *testing.T) {
	var s segments[int]
	for i := range 2*segmentSize + 5 {
		s.push(i)
	}
	require.Equal(t, []int{0, 1, 2}, s.shift(3))
	rest := s.shift(10 * segmentSize)
	require.Len(t, rest, 2*segmentSize+2)
	require.Equal(t, 3, rest[0])
	require.Equal(t, 2*segmentSize+4, rest[len(rest)-1])
	require.Empty(t, s.shift(1))
	require.NoError(t, s.check())
}

// What is put is got, and a chunk goes with the last payload in it.
func TestArena(t *testing.T) {
	var a arena
	var spans []span
	var payloads [][]byte
	put := func(size int) {
		payload := bytes.Repeat([]byte{byte(len(spans))}, size)
		spans, payloads = append(spans, a.put(payload)), append(payloads, payload)
	}
	for range 3 {
		for _, size := range []int{0, 1, 127, 128, maxChunk - 1, maxChunk, 5 * maxChunk, 1, 1, maxChunk/2 + 1, maxChunk/2 + 1} {
			put(size)
		}
	}
	chunks := len(a.chunks)
	for i := range spans {
		a.dropBefore(spans[i])
		require.Equal(t, a.oldest, spans[i])
		for j := i; j < len(spans); j++ {
			require.Equal(t, payloads[j], a.get(spans[j]))
		}
	}
	require.Greater(t, chunks, 10)
	require.Len(t, a.chunks, 1)
}

// A chunk has room for as much as is kept, up to maxChunk, and is filled to the last
// byte.
func TestArenaChunks(t *testing.T) {
	const size = 100 // with its length, of one byte
	payload := make([]byte, size-1)
	var a arena
	sizes := func() (sizes []int) {
		for _, chunk := range a.chunks {
			sizes = append(sizes, cap(chunk)/size)
		}
		return sizes
	}
	for range 16 {
		a.put(payload)
	}
	require.Equal(t, []int{1, 1, 2, 4, 8}, sizes())
	for range 4 * maxChunk / size {
		a.put(payload)
	}
	require.Equal(t, maxChunk, cap(a.chunks[len(a.chunks)-1]))
	a.put(make([]byte, maxChunk))
	require.Equal(t, maxChunk+3, cap(a.chunks[len(a.chunks)-1]), "a large payload has a chunk to itself")
	chunks := len(a.chunks)
	a.put(payload)
	require.Equal(t, chunks+1, len(a.chunks))

	// Once most has gone, chunks are small again.
	kept := []span{a.put(payload), a.put(payload), a.put(payload)}
	for range 1000 {
		kept = append(kept[1:], a.put(payload))
		a.dropBefore(kept[0])
		require.NoError(t, a.check())
	}
	room := 0
	for _, chunk := range a.chunks {
		room += cap(chunk)
	}
	require.LessOrEqual(t, room, 3*3*size)
}

// Chunks are numbered modulo 2^32.
func TestArenaNumbersWrap(t *testing.T) {
	a := arena{oldest: span{chunk: math.MaxUint32}}
	first := a.put(bytes.Repeat([]byte("x"), maxChunk))
	second := a.put([]byte("y"))
	require.Zero(t, second.chunk)
	require.Equal(t, []byte("y"), a.get(second))
	require.Equal(t, maxChunk, len(a.get(first)))
	a.dropBefore(second)
	require.Equal(t, []byte("y"), a.get(second))
	require.Len(t, a.chunks, 1)
}

// CreatedAt keeps its instant, whatever that is, and is local time.
func TestLogKeepsTimes(t *testing.T) {
	cet := time.FixedZone("CET", 3600)
	var l log
	for i, at := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(-1, 999), time.Date(2031, 4, 5, 6, 7, 8, 999_999_999, cet),
		time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1_000_000, 1, 1, 0, 0, 0, 0, cet),
		time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0), time.Unix(5, 5).UTC(), time.Now(),
	} {
		l.append(int64(i+1), at, 0, nil, 0)
		require.Equal(t, time.Unix(at.Unix(), int64(at.Nanosecond())), l.newest().createdAt())
	}
}

func TestLogSearch(t *testing.T) {
	topic := newTopic(New(), "orders")
	l := &topic.log
	after := func(added time.Duration) int64 {
		return topic.all.search(func(s *slot) bool { return s.added > added })
	}
	require.EqualValues(t, 0, after(0))
	for i := range 1000 {
		l.append(int64(i+1), time.Time{}, time.Duration(i/10), []byte(strings.Repeat("x", i)), 0)
	}
	for range 500 {
		l.dropOldest()
	}
	require.EqualValues(t, 500, after(-1))
	require.EqualValues(t, 500, after(49))
	require.EqualValues(t, 510, after(50))
	require.EqualValues(t, 990, after(98))
	require.EqualValues(t, 1000, after(99))
	require.Equal(t, 700, len(topic.all.read(700).payload))
}
