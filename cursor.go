package memstreamer

// cursor is how far one (topic, name) has acked. It outlives its receivers.
type cursor struct {
	topic *topic
	name  string

	// Guarded by the StreamConstructor's mu.

	next int64 // the position in the topic's log of the oldest event not acked
}

// cursorLocked returns the cursor of name, made where there was none: at the
// oldest event kept or, with latest, past the newest.
func (t *topic) cursorLocked(name string, latest bool) *cursor {
	if c := t.cursors[name]; c != nil {
		return c
	}
	c := &cursor{topic: t, name: name}
	if latest {
		c.next = t.log.next
	}
	t.cursors[name] = c
	return c
}

// ackLocked commits the event at position. One that is behind the cursor was
// committed before, by an ack of its own.
func (c *cursor) ackLocked(position int64) {
	c.next = max(c.next, position+1)
}
