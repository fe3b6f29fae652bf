package memstreamer

// segmentSize is how many values a full segment holds.
const segmentSize = 256

// segments is a sequence of values in segments of at most segmentSize, so that no call
// copies more than one segment. Dropped values pin less than a segment. The last segment
// of a short sequence grows by doubling, so that most of many topics stay small.
// Positions count from the first value ever pushed, at 0.
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
	if len(s.parts) == 1 && len(s.parts[0]) == cap(s.parts[0]) {
		s.moveDown()
	}
	i := int(s.end-s.base) / segmentSize
	if i == len(s.parts) {
		s.parts = append(s.parts, make([]T, 0, min(s.len(), segmentSize)))
	}
	part := &s.parts[i]
	if len(*part) == cap(*part) {
		*part = append(make([]T, 0, min(max(1, 2*len(*part)), segmentSize)), *part...)
	}
	*part = append(*part, v)
	s.end++
}

// moveDown makes room in the only segment, in place of values that are gone, if
// these are half of it or more: fewer would have each push copy many. A segment that
// has become much too large is replaced.
func (s *segments[T]) moveDown() {
	full := s.parts[0]
	kept := full[s.first-s.base:]
	switch {
	case 2*len(kept) > len(full):
		return
	case 8*len(kept) <= len(full):
		s.parts[0] = append(make([]T, 0, 2*len(kept)), kept...)
	default:
		s.parts[0] = append(full[:0], kept...)
		clear(full[len(kept):])
	}
	s.base = s.first
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

// shift removes the oldest values, up to limit, and returns them.
func (s *segments[T]) shift(limit int) []T {
	values := make([]T, max(0, min(limit, s.len())))
	for i := range values {
		values[i] = *s.at(s.first)
		s.dropFirst()
	}
	return values
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
