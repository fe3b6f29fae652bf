package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer/internal/journal"
)

// createTables makes the tables where there are none, and checks their version.
func (s *Streamer) createTables(ctx context.Context, conn *sql.Conn) error {
	if err := s.begin(ctx, conn); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, s.queries.createSchema)
	version := 0
	if err == nil {
		err = conn.QueryRowContext(ctx, s.queries.version).Scan(&version)
	}
	switch {
	case err == sql.ErrNoRows:
		_, err = conn.ExecContext(ctx, s.queries.setVersion, schemaVersion)
	case err == nil && version != schemaVersion:
		err = fmt.Errorf("the tables %s_* are of version %d, and this release knows version %d: use the one that made them, or a newer one", s.opts.prefix, version, schemaVersion)
	}
	if err == nil {
		err = s.end(conn)
	}
	if err != nil {
		rollback(conn)
	}
	return err
}

// load reads what is kept into memory.
func (s *Streamer) load(ctx context.Context, conn *sql.Conn) error {
	var lastID int64
	if err := conn.QueryRowContext(ctx, s.queries.lastID).Scan(&lastID); err != nil {
		return err
	}
	cursors, err := s.loadCursors(ctx, conn)
	if err != nil {
		return err
	}
	for _, c := range cursors {
		lastID = max(lastID, c.After)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Reading rows takes longer than anything else: it has a goroutine to itself.
	chunks := make(chan []row, 4)
	var reading sync.WaitGroup
	var readErr, decodeErr error
	first := make(map[string]int64)
	reading.Go(func() {
		defer close(chunks)
		readErr = s.readEvents(ctx, conn, chunks)
	})
	s.log.Load(func(yield func(journal.Event) bool) {
		headers := make([]journal.Header, 0, 8)
		for chunk := range chunks {
			for _, r := range chunk {
				var e journal.Event
				if e, decodeErr = r.event(headers); decodeErr != nil {
					cancel()
					return
				}
				lastID = max(lastID, e.ID)
				if _, ok := first[e.Topic]; !ok {
					first[e.Topic] = e.ID
				}
				yield(e)
			}
		}
	}, cursors, lastID)
	reading.Wait()
	if err := cmp.Or(decodeErr, readErr); err != nil {
		return err
	}
	for _, c := range cursors {
		s.names[name{c.Topic, c.Name}] = s.log.Cursor(c.Topic, c.Name)
	}
	s.leader.lastID = lastID
	s.leader.pass = pass{next: lastID + 1, end: lastID + 1, firsts: first}
	return nil
}

// row is an event as the database has it: id, topic, foreign_id, type, headers and
// created_at.
type row [6]any

const chunkRows = 256

// readEvents sends the events kept to chunks.
func (s *Streamer) readEvents(ctx context.Context, conn *sql.Conn, chunks chan<- []row) error {
	rows, err := conn.QueryContext(ctx, s.queries.events)
	if err != nil {
		return err
	}
	defer rows.Close()
	for more := true; more; {
		chunk := make([]row, 0, chunkRows)
		for len(chunk) < chunkRows {
			if more = rows.Next(); !more {
				break
			}
			chunk = chunk[:len(chunk)+1]
			r := &chunk[len(chunk)-1]
			// An any takes what the driver has made, without a conversion.
			if err := rows.Scan(&r[0], &r[1], &r[2], &r[3], &r[4], &r[5]); err != nil {
				return err
			}
		}
		select {
		case chunks <- chunk:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return rows.Err()
}

// event returns the event in r. Its headers are in scratch.
func (r row) event(scratch []journal.Header) (e journal.Event, err error) {
	id, ok1 := r[0].(int64)
	topic, ok2 := plain(r[1])
	foreignID, ok3 := plain(r[2])
	statusType, ok4 := r[3].(int64)
	createdAt, ok5 := r[5].(int64)
	if !(ok1 && ok2 && ok3 && ok4 && ok5) {
		return e, fmt.Errorf("event %v: a column holds what does not belong there", r[0])
	}
	headers, err := decodeHeaders(scratch[:0], r[4])
	if err != nil {
		return e, fmt.Errorf("event %d: the headers are not a JSON object of strings: %w", id, err)
	}
	e = journal.Event{Topic: topic, ID: id, CreatedAt: time.Unix(0, createdAt), ForeignID: foreignID, Type: int(statusType), Headers: headers}
	return e, nil
}

func (s *Streamer) loadCursors(ctx context.Context, conn *sql.Conn) (cursors []journal.Saved, err error) {
	rows, err := conn.QueryContext(ctx, s.queries.cursors)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c journal.Saved
		if err := rows.Scan(&c.Topic, &c.Name, &c.After, &c.AckedID); err != nil {
			return nil, err
		}
		cursors = append(cursors, c)
	}
	return cursors, rows.Err()
}
