package sqlite

import "strings"

// schemaVersion is that of the tables below.
const schemaVersion = 1

// The tables. The events' IDs are their order. The trigger keeps the last ID,
// which would otherwise be given again once its row was deleted.
const schema = `
CREATE TABLE IF NOT EXISTS @_schema (
	version INTEGER NOT NULL,
	last_id INTEGER NOT NULL -- the greatest ID of a deleted event
);
CREATE TABLE IF NOT EXISTS @_events (
	id         INTEGER PRIMARY KEY,
	topic      TEXT    NOT NULL,
	foreign_id TEXT    NOT NULL,
	type       INTEGER NOT NULL,
	headers    TEXT,            -- a JSON object; NULL for nil
	created_at INTEGER NOT NULL -- nanoseconds since 1970
);
CREATE TABLE IF NOT EXISTS @_cursors (
	topic    TEXT    NOT NULL,
	name     TEXT    NOT NULL,
	position INTEGER NOT NULL, -- events of a greater ID are not acked
	acked_id INTEGER NOT NULL, -- of the newest event acked; 0 if there is none
	PRIMARY KEY (topic, name)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS @_last_id AFTER DELETE ON @_events BEGIN
	UPDATE @_schema SET last_id = OLD.id WHERE last_id < OLD.id;
END`

// queries are the statements, with the tables' names in them.
type queries struct {
	createSchema, version, setVersion string
	events, cursors, lastID           string
	insert, save, advance, forget     string
	hasEvent, hasPosition             string
	between, delete                   string
}

// repeat returns a query whose VALUES are one row for n rows.
func repeat(query string, n int) string {
	head, tail, _ := strings.Cut(query, " VALUES ")
	row, tail, _ := strings.Cut(tail, ")")
	return head + " VALUES " + strings.Repeat(row+"), ", n-1) + row + ")" + tail
}

func newQueries(prefix string) queries {
	q := func(s string) string { return strings.ReplaceAll(s, "@", prefix) }
	return queries{
		createSchema: q(schema),
		version:      q(`SELECT version FROM @_schema`),
		setVersion:   q(`INSERT INTO @_schema (version, last_id) VALUES (?, 0)`),

		events:  q(`SELECT id, topic, foreign_id, type, headers, created_at FROM @_events ORDER BY id`),
		cursors: q(`SELECT topic, name, position, acked_id FROM @_cursors`),
		lastID:  q(`SELECT last_id FROM @_schema`),

		insert: q(`INSERT INTO @_events (id, topic, foreign_id, type, headers, created_at) VALUES (?, ?, ?, ?, ?, ?)`),
		// SQLite compiles this for each transaction: an upsert would take it longer.
		save: q(`REPLACE INTO @_cursors (topic, name, position, acked_id) VALUES (?, ?, ?, ?)`),
		advance: q(`INSERT INTO @_cursors (topic, name, position, acked_id) VALUES (?, ?, ?, ?) ON CONFLICT (topic, name)
			DO UPDATE SET position = max(position, excluded.position), acked_id = max(acked_id, excluded.acked_id)`),
		forget: q(`DELETE FROM @_cursors WHERE (topic, name) IN ( VALUES (?, ?))`),

		hasEvent:    q(`SELECT EXISTS (SELECT 1 FROM @_events WHERE id = ?)`),
		hasPosition: q(`SELECT coalesce((SELECT position FROM @_cursors WHERE topic = ? AND name = ?), -1) = ?`),

		between: q(`SELECT id, topic FROM @_events WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`),
		delete:  q(`DELETE FROM @_events WHERE id IN ( VALUES (?))`),
	}
}
