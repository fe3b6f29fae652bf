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
		for _, size := range []int{0, 1, 127, 128, chunkSize - 1, chunkSize, 5 * chunkSize, 1, 1, chunkSize/2 + 1, chunkSize/2 + 1} {
			put(size)
		}
	}
	chunks := len(a.chunks)
	for i := range spans {
		a.dropBefore(spans[i])
		require.Equal(t, a.base, spans[i].chunk)
		for j := i; j < len(spans); j++ {
			require.Equal(t, payloads[j], a.get(spans[j]))
		}
	}
	require.Greater(t, chunks, 10)
	require.Len(t, a.chunks, 1)
}

func TestArenaSharesChunks(t *testing.T) {
	var a arena
	a.put([]byte("small"))
	require.Less(t, cap(a.chunks[0]), 100, "one small payload takes a chunk")
	for range 100 {
		a.put(make([]byte, chunkSize/100-4))
	}
	require.Len(t, a.chunks, 1)
	a.put(make([]byte, chunkSize/2))
	require.Len(t, a.chunks, 2)
	require.Equal(t, chunkSize, cap(a.chunks[1]))
	a.put(make([]byte, chunkSize))
	require.Len(t, a.chunks, 3)
	a.put(nil)
	require.Len(t, a.chunks, 4, "a large payload has a chunk to itself")

	a = arena{}
	a.put(make([]byte, 2*chunkSize))
	require.Len(t, a.chunks, 1, "also the first")

	a = arena{}
	a.put(make([]byte, chunkSize/2-2)) // behind a length of two bytes
	a.put(make([]byte, chunkSize/2-2))
	require.Len(t, a.chunks, 1, "a chunk may be full to the last byte")
	require.Len(t, a.chunks[0], chunkSize)
}

// Chunks are numbered modulo 2^32.
func TestArenaNumbersWrap(t *testing.T) {
	a := arena{base: math.MaxUint32}
	first := a.put(bytes.Repeat([]byte("x"), chunkSize))
	second := a.put([]byte("y"))
	require.Zero(t, second.chunk)
	require.Equal(t, []byte("y"), a.get(second))
	require.Len(t, a.get(first), chunkSize)
	a.dropBefore(second)
	require.Equal(t, []byte("y"), a.get(second))
	require.Len(t, a.chunks, 1)
}

// CreatedAt keeps its instant and location, whatever they are and however often
// they change, while events are dropped.
func TestLogKeepsTimes(t *testing.T) {
	cet := time.FixedZone("CET", 3600)
	times := []time.Time{
		{}, time.Unix(0, 0), time.Unix(-1, 999), time.Date(2031, 4, 5, 6, 7, 8, 999_999_999, cet),
		time.Date(2031, 4, 5, 6, 7, 8, 9, cet), time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1_000_000, 1, 1, 0, 0, 0, 0, cet),
		time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0), time.Unix(5, 5).UTC(), time.Unix(6, 6).UTC(), time.Unix(7, 7),
	}
	var l log
	var want []time.Time
	for range 100 {
		for _, at := range times {
			l.append(int64(len(want)+1), at, 0, nil)
			want = append(want, at)
		}
	}
	for i := range want {
		require.NoError(t, l.check(nil))
		for _, j := range []int{i, min(i+1, len(want)-1), min(i+7, len(want)-1), len(want) - 1} {
			require.Equal(t, want[j], l.createdAt(int64(j)))
		}
		l.dropOldest()
	}
	require.NoError(t, l.check(nil))

	for range 1000 {
		l.append(int64(len(want)+1), time.Unix(1, 2), 0, nil)
		want = append(want, time.Unix(1, 2))
	}
	require.Equal(t, 1, l.zones.len(), "events of one location share a zone")
	for l.kept() > 0 {
		l.dropOldest()
	}

	now := time.Now()
	l.append(1, now, 0, nil)
	require.Equal(t, now.Round(0), l.createdAt(l.slots.first), "without the monotonic reading")
}

func TestLogSearch(t *testing.T) {
	var l log
	after := func(added time.Duration) int64 {
		return l.search(func(s *slot) bool { return s.added > added })
	}
	require.EqualValues(t, 0, after(0))
	for i := range 1000 {
		l.append(int64(i+1), time.Time{}, time.Duration(i/10), []byte(strings.Repeat("x", i)))
	}
	for range 500 {
		l.dropOldest()
	}
	require.EqualValues(t, 500, after(-1))
	require.EqualValues(t, 500, after(49))
	require.EqualValues(t, 510, after(50))
	require.EqualValues(t, 990, after(98))
	require.EqualValues(t, 1000, after(99))
	require.Len(t, l.read(700).payload, 700)
}
