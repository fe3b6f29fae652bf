package memstreamer

// segmentSize is how many values a full segment holds.
const segmentSize = 256

// segments is a sequence of values that grows and shrinks by whole segments, so
// that no call copies many values, and none keeps memory for values that are
// gone. Positions count from the first value ever pushed, at 0.
type segments[T any] struct {
	parts [][]T // full up to end
	base  int64 // position of parts[0][0]
	first int64 // position of the oldest value
	end   int64 // position of the next push
}

func (s *segments[T]) len() int { return int(s.end - s.first) }

// at returns the value at a position from first to before end.
func (s *segments[T]) at(position int64) *T {
	i := uint64(position - s.base)
	return &s.parts[i/segmentSize][i%segmentSize]
}

func (s *segments[T]) push(v T) {
	part := int(s.end-s.base) / segmentSize
	switch {
	case part < len(s.parts):
	case part == 0:
		// The first segment grows by doubling: most of many topics stay small.
		s.parts = append(s.parts, nil)
	default:
		s.parts = append(s.parts, make([]T, 0, segmentSize))
	}
	s.parts[part] = append(s.parts[part], v)
	s.end++
}

// dropFirst removes the oldest value.
func (s *segments[T]) dropFirst() {
	s.first++
	switch {
	case s.first == s.end:
		s.parts, s.base = nil, s.end
	case s.first-s.base == segmentSize:
		s.parts[0] = nil
		s.parts, s.base = s.parts[1:], s.first
	}
}

// dropLast removes the newest value. An empty segment stays until the one before it
// is half empty, for a sequence that goes back and forth.
func (s *segments[T]) dropLast() {
	s.end--
	part, left := int(s.end-s.base)/segmentSize, int(s.end-s.base)%segmentSize
	clear(s.parts[part][left:])
	s.parts[part] = s.parts[part][:left]
	if part+1 < len(s.parts) && left <= segmentSize/2 {
		s.parts[part+1] = nil
		s.parts = s.parts[:part+1]
	}
}
