package jetstream

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What comes too late for the last call that waited is given back, and what a
// Recv has returned is not.
func TestUnwanted(t *testing.T) {
	event, again := &delivery{id: 2}, &delivery{id: 1}
	c := cursor{held: event, again: again, waiting: 1}
	assert.Empty(t, c.unwantedLocked(), "somebody waits")

	c.waiting, c.settling = 0, 1
	assert.Equal(t, []*delivery{event}, c.unwantedLocked(), "an ack waits for the other")
	assert.Nil(t, c.held)

	event.returned = true
	c.held, c.settling = event, 0
	assert.Equal(t, []*delivery{again}, c.unwantedLocked())
	assert.Same(t, event, c.held)
	assert.Nil(t, c.again)
}

// A cursor is forgotten with its last receiver, unless a pull request of it may
// still bring an event.
func TestDropUnused(t *testing.T) {
	s := &Streamer{cursors: make(map[string]*cursor)}
	c := s.retainCursor("name", &cursor{streamer: s, name: "name"})
	assert.Same(t, c, s.retainCursor("name", nil))
	s.releaseCursor(c)
	assert.Same(t, c, s.cursor("name"))
	c.pulling = true
	s.releaseCursor(c)
	assert.Same(t, c, s.cursor("name"))
	c.pulling = false
	s.dropUnused(c)
	assert.Nil(t, s.cursor("name"))
}
