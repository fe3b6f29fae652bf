// Package journal is the door through which a streamer that journals its events
// and cursors elsewhere keeps a memstreamer.StreamConstructor in step with its
// journal. It is of no use to anyone else.
package journal

import (
	"iter"
	"time"
)

// Of returns the log of a *memstreamer.StreamConstructor. Package memstreamer
// sets it.
var Of func(streamer any) Log

// Log is a log whose IDs its journal gives. Its methods are safe for concurrent
// use. They work on a streamer that was closed, too: what the journal has
// committed has happened.
type Log interface {
	// Load adds what the journal has kept to a streamer that nothing has used
	// yet: the events, by rising ID, and then the cursors, which count as closed
	// from now on. It drops no event for its age before the cursors are there.
	// The log's last ID is then lastID, or that of the last event if it is
	// greater.
	Load(events iter.Seq[Event], cursors []Saved, lastID int64)

	// Append adds events whose IDs rise, and are greater than any before, and
	// wakes the receivers of their topics.
	Append(events []Event)

	// Cursor returns the cursor of (topic, name), nil if there is none.
	Cursor(topic, name string) Cursor
}

// Event is an event that the journal has committed.
type Event struct {
	Topic     string
	ID        int64
	CreatedAt time.Time // its age counts from then
	ForeignID string
	Type      int
	Headers   []Header // nil for nil headers
}

// Header is one header of an [Event].
type Header struct{ Name, Value string }

// Saved is a cursor as the journal has it.
type Saved struct {
	Topic, Name string
	Position
}

// Position is how far a cursor is.
type Position struct {
	After   int64 // events of a greater ID are not acked
	AckedID int64 // of the newest event acked; 0 if there is none
}

// Cursor is the cursor of one (topic, name). Cursors are equal (==) if they are
// the same one: a name that was forgotten and is opened again has another.
type Cursor interface {
	// Position returns how far the cursor is. It reports false once the cursor
	// was forgotten.
	Position() (Position, bool)
}
