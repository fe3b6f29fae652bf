// Package judge tells whether the receivers of one consumer got what the
// contract says: each event that it has not acked, in order, from where its
// cursor started. It imports nothing; tests of every module may import it.
package judge

// Cursor follows one consumer through its calls, which may overlap. Its
// methods are called in the order in which calls begin and return. A place is
// that of an event among all that were ever sent to the topic.
//
// Cursor knows bounds of the place that comes next. An ack that has begun may have
// moved the cursor, so it raises the upper bound; one that has returned has moved
// it, so it raises the lower one.
type Cursor struct {
	low, high int64

	// life counts the opens that may have made a new cursor, and making those of
	// them that have not returned. While there are any, a call may concern the
	// cursor before or the one after, and says nothing of the lower bound.
	life, making int
}

// Start bounds the place at which a new cursor starts.
type Start struct{ Low, High int64 }

// Opening says that a call begins that may make a new cursor. If sure, it finds
// none.
func (c *Cursor) Opening(start Start, sure bool) {
	c.life++
	c.making++
	if sure || start.Low < c.low {
		c.low = start.Low
	}
	c.high = max(c.high, start.High)
}

// Opened says that such a call has returned.
func (c *Cursor) Opened() {
	c.life++
	c.making--
}

// Mark is what is known when a Recv begins.
type Mark struct {
	low  int64
	life int
}

// Receiving says that a Recv begins.
func (c *Cursor) Receiving() Mark {
	if c.making > 0 {
		return Mark{c.low, -1}
	}
	return Mark{c.low, c.life}
}

// Verdict is what is wrong with an event that Recv returned.
type Verdict int

// The verdicts.
const (
	Right   Verdict = iota
	Skipped         // an event before it was not acked
	Behind          // it, or a later one, was acked, received or too old for the name
)

func (v Verdict) String() string { return [...]string{"right", "skipped", "behind"}[v] }

// Received says that the Recv of m has returned the event at place.
func (c *Cursor) Received(m Mark, place int64) Verdict {
	defer c.reached(m, place)
	switch {
	case place < m.low:
		return Behind
	case place > c.high:
		c.high = place // to go on from
		return Skipped
	}
	return Right
}

// Acking says that an ack of the event at place begins.
func (c *Cursor) Acking(place int64) { c.high = max(c.high, place+1) }

// Acked says that it has returned, where the Recv of m delivered the event.
func (c *Cursor) Acked(m Mark, place int64) { c.reached(m, place+1) }

// reached raises the lower bound to place, if the cursor is still that of m.
func (c *Cursor) reached(m Mark, place int64) {
	if m.life == c.life {
		c.low = max(c.low, place)
	}
}

// Low returns the least place that may come next.
func (c *Cursor) Low() int64 { return c.low }
