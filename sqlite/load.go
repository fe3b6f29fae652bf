package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

// createTables makes the tables where there are none, and has those of earlier versions
// follow.
func (s *Streamer) createTables(ctx context.Context, conn *sql.Conn) error {
	if err := s.begin(ctx, conn); err != nil {
		return err
	}
	err := s.migrate(ctx, conn)
	if err == nil {
		err = s.commitOn(conn)
	}
	if err != nil {
		rollback(conn)
	}
	return err
}

func (s *Streamer) migrate(ctx context.Context, conn *sql.Conn) error {
	q, version := &s.queries, 0
	if err := execute(conn, q.createSchema); err != nil {
		return err
	}
	var statements []string
	switch err := conn.QueryRowContext(ctx, q.version).Scan(&version); {
	case errors.Is(err, sql.ErrNoRows):
		statements = []string{q.createTables, q.insertVersion}
	case err != nil:
		return err
	case version == 1:
		statements = []string{q.setCursors1Aside, q.createTables, q.moveCursors1, q.updateVersion}
	case version == 2:
		statements = []string{q.addShards, q.updateVersion}
	case version == schemaVersion:
		// It writes the version that is there: a database that is read-only fails here, and
		// not in the first Send.
		statements = []string{q.createTables, q.updateVersion}
	default:
		return fmt.Errorf("the tables %s_* are of version %d, and this release knows version %d: use the one that made them, or a newer one", s.opts.prefix, version, schemaVersion)
	}
	for _, statement := range statements {
		if err := execute(conn, statement); err != nil {
			return err
		}
	}
	return nil
}

// load reads what is kept into memory.
func (s *Streamer) load(ctx context.Context, conn *sql.Conn) error {
	var lastID int64
	if err := conn.QueryRowContext(ctx, s.queries.lastID).Scan(&lastID); err != nil {
		return err
	}
	consumers, err := s.loadConsumers(ctx, conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Reading rows takes longer than anything else: it has a goroutine to itself.
	chunks := make(chan []row, 4)
	var reading sync.WaitGroup
	var readErr, decodeErr error
	reading.Go(func() {
		defer close(chunks)
		readErr = s.readEvents(ctx, conn, chunks)
	})
	s.leader.lastID = lastID
	s.journal.Load(func(yield func(string, *memstreamer.Event) bool) {
		headers := make(map[memstreamer.Header]string)
		for chunk := range chunks {
			for _, r := range chunk {
				topic, e, err := r.event(headers)
				if err != nil {
					decodeErr = err
					cancel()
					return
				}
				s.leader.lastID = max(lastID, e.ID)
				yield(topic, &e)
			}
		}
	}, consumers, lastID)
	reading.Wait()
	return cmp.Or(decodeErr, readErr)
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

// event returns the event in r and its topic. It uses headers for those of the event.
func (r row) event(headers map[memstreamer.Header]string) (topic string, e memstreamer.Event, err error) {
	id, ok1 := r[0].(int64)
	topic, ok2 := plain(r[1])
	foreignID, ok3 := plain(r[2])
	statusType, ok4 := r[3].(int64)
	createdAt, ok5 := r[5].(int64)
	if !(ok1 && ok2 && ok3 && ok4 && ok5) {
		return "", e, fmt.Errorf("event %v: a column holds what does not belong there", r[0])
	}
	if headers, err = decodeHeaders(headers, r[4]); err != nil {
		return "", e, fmt.Errorf("event %d: the headers are not a JSON object of strings: %w", id, err)
	}
	return topic, memstreamer.Event{ID: id, ForeignID: foreignID, Type: int(statusType), Headers: headers, CreatedAt: time.Unix(0, createdAt)}, nil
}

func (s *Streamer) loadConsumers(ctx context.Context, conn *sql.Conn) (consumers []memstreamer.Consumer, err error) {
	rows, err := conn.QueryContext(ctx, s.queries.cursors)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c memstreamer.Consumer
		if err := rows.Scan(&c.Life, &c.Topic, &c.Name, &c.After, &c.AckedID, &c.ShardIndex, &c.ShardCount); err != nil {
			return nil, err
		}
		consumers = append(consumers, c)
	}
	return consumers, rows.Err()
}
