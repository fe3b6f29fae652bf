package sqlite

import (
	"strconv"
	"strings"
)

// schemaVersion is that of the tables below. Version 1 had cursors without a life, and
// version 2 without a shard.
const schemaVersion = 3

const schemaTable = `
CREATE TABLE IF NOT EXISTS @_schema (
	version INTEGER NOT NULL,
	last_id INTEGER NOT NULL -- the greatest ID of a deleted event
)`

// The events' IDs are their order. The trigger keeps the last ID, which would
// otherwise be given again once its row was deleted. AUTOINCREMENT does the same for
// the lives of cursors: at the making of one, where the trigger would do it at each
// deletion. As the primary key, a life is also the shortest way to a row for an Ack.
const tables = `
CREATE TABLE IF NOT EXISTS @_events (
	id         INTEGER PRIMARY KEY,
	topic      TEXT    NOT NULL,
	foreign_id TEXT    NOT NULL,
	type       INTEGER NOT NULL,
	headers    TEXT,            -- a JSON object; NULL for nil
	created_at INTEGER NOT NULL -- nanoseconds since 1970
);
CREATE TABLE IF NOT EXISTS @_cursors (
	life     INTEGER PRIMARY KEY AUTOINCREMENT, -- a consumer that is forgotten and made again has another
	topic    TEXT    NOT NULL,
	name     TEXT    NOT NULL,
	position INTEGER NOT NULL, -- events of a greater ID are not acked
	acked_id INTEGER NOT NULL, -- of the newest event acked; 0 if there is none
	shard_index INTEGER NOT NULL DEFAULT 0,
	shard_count INTEGER NOT NULL DEFAULT 0, -- 0 if it has all events
	UNIQUE (topic, name)
);
CREATE TRIGGER IF NOT EXISTS @_last_id AFTER DELETE ON @_events BEGIN
	UPDATE @_schema SET last_id = OLD.id WHERE last_id < OLD.id;
END`

// queries are the statements, with the tables' names in them.
type queries struct {
	createSchema, createTables, version, insertVersion, updateVersion string
	setCursors1Aside, moveCursors1, addShards                         string
	events, cursors, lastID                                           string
	insert, make, ack, life                                           string
	hasEvent, position, mark                                          string
	deleteEvents, deleteCursor                                        string
}

func newQueries(prefix string) queries {
	q := strings.NewReplacer("@", prefix, "$", strconv.Itoa(schemaVersion)).Replace
	return queries{
		createSchema:  q(schemaTable),
		createTables:  q(tables),
		version:       q(`SELECT version FROM @_schema`),
		insertVersion: q(`INSERT INTO @_schema (version, last_id) VALUES ($, 0)`),
		updateVersion: q(`UPDATE @_schema SET version = $`),

		setCursors1Aside: q(`ALTER TABLE @_cursors RENAME TO @_cursors_1`),
		moveCursors1: q(`INSERT INTO @_cursors (topic, name, position, acked_id) SELECT topic, name, position, acked_id FROM @_cursors_1;
			DROP TABLE @_cursors_1`),
		addShards: q(`ALTER TABLE @_cursors ADD COLUMN shard_index INTEGER NOT NULL DEFAULT 0;
			ALTER TABLE @_cursors ADD COLUMN shard_count INTEGER NOT NULL DEFAULT 0`),

		events:  q(`SELECT id, topic, foreign_id, type, headers, created_at FROM @_events ORDER BY id`),
		cursors: q(`SELECT life, topic, name, position, acked_id, shard_index, shard_count FROM @_cursors WHERE topic <> ''`),
		lastID:  q(`SELECT last_id FROM @_schema`),

		insert: q(`INSERT INTO @_events (id, topic, foreign_id, type, headers, created_at) VALUES (?, ?, ?, ?, ?, ?)`),
		make:   q(`INSERT INTO @_cursors (topic, name, position, acked_id, shard_index, shard_count) VALUES (?, ?, ?, 0, ?, ?)`),
		ack:    q(`UPDATE @_cursors SET position = ?2, acked_id = ?2 WHERE life = ?1 AND position < ?2`),
		life:   q(`SELECT coalesce((SELECT life FROM @_cursors WHERE topic = ? AND name = ?), 0)`),

		hasEvent: q(`SELECT EXISTS (SELECT 1 FROM @_events WHERE id = ?)`),
		position: q(`SELECT coalesce((SELECT position FROM @_cursors WHERE life = ?), -1)`),

		mark: q(`REPLACE INTO @_cursors (topic, name, position, acked_id) VALUES ('', '', 0, 0)`),

		deleteEvents: q(`DELETE FROM @_events WHERE id IN ( VALUES (?))`),
		deleteCursor: q(`DELETE FROM @_cursors WHERE life = ?`),
	}
}
