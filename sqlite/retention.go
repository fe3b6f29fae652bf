package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

const (
	// sweptEvents is how many events one transaction looks at: or twice as many
	// as it adds, if that is more, so that sweeping keeps up.
	sweptEvents = 256
	// sweptNames is how many names one transaction deletes, at most.
	sweptNames = 64
	// minSweepPause is the least time from one pass to the next.
	minSweepPause = 100 * time.Millisecond
)

// pass is a pass over the tables, which deletes what memory has dropped. Each
// transaction does a part, so that none is long. What a crash leaves is loaded and
// dropped again.
type pass struct {
	began     time.Time
	next, end int64 // the IDs that are left to sweep
	oldest    oldest
	names     []name // that were forgotten
}

// oldest is the ID of the oldest event in memory, by topic.
type oldest struct {
	of   map[string]int64
	rest int64 // greater than any ID: for topics without events
}

func (o oldest) get(topic string) int64 {
	if id, ok := o.of[topic]; ok {
		return id
	}
	return o.rest
}

// sweep does a part of a pass in the transaction on conn, which adds so many
// events at most. The function that it returns is called once that is committed.
func (s *Streamer) sweep(conn *sql.Conn, added int) (committed func(), err error) {
	p := &s.leader.pass
	if p.next >= p.end && len(p.names) == 0 {
		now := s.opts.clock.Now()
		since := now.Sub(p.began)
		if s.opts.retention == 0 || 0 <= since && since < max(s.opts.retention/16, minSweepPause) {
			return func() {}, nil
		}
		s.beginPass(now)
	}
	next, err := s.sweepEvents(conn, max(sweptEvents, 2*added))
	if err != nil {
		return nil, err
	}
	names := p.names[:min(len(p.names), sweptNames)]
	for _, n := range names {
		if s.alive(n) { // again
			continue
		}
		if _, err := conn.ExecContext(context.Background(), s.queries.forget, text(n.topic), text(n.name)); err != nil {
			return nil, err
		}
	}
	return func() {
		p.next, p.names = next, p.names[len(names):]
		for _, n := range names {
			s.drop(n)
		}
	}, nil
}

// beginPass sees what memory has dropped since the pass before began.
func (s *Streamer) beginPass(now time.Time) {
	p, before := &s.leader.pass, s.leader.pass.oldest
	p.began, p.oldest = now, oldest{of: make(map[string]int64), rest: s.leader.lastID + 1}
	for _, t := range s.memory.Stats().Topics {
		if t.Retained > 0 {
			p.oldest.of[t.Topic] = t.FirstID
		}
	}
	// What was sent since may be gone, and its topic with it.
	p.next, p.end = before.rest, p.oldest.rest
	for topic, id := range before.of {
		if id < p.oldest.get(topic) {
			p.next = min(p.next, id)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, c := range s.names {
		if _, ok := c.Position(); !ok {
			p.names = append(p.names, n)
		}
	}
}

// sweepEvents looks at that many of the events that are left, and deletes those
// older than their topic's oldest. It returns where to go on.
func (s *Streamer) sweepEvents(conn *sql.Conn, limit int) (next int64, err error) {
	p := &s.leader.pass
	if p.next >= p.end {
		return p.end, nil
	}
	rows, err := conn.QueryContext(context.Background(), s.queries.between, p.next, p.end, limit)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var ranges [][2]int64 // of neighbours
	dropping, seen := false, 0
	for ; rows.Next(); seen++ {
		var id int64
		var topic string
		if err := rows.Scan(&id, &topic); err != nil {
			return 0, err
		}
		before := dropping
		dropping = id < p.oldest.get(topic)
		if dropping && !before {
			ranges = append(ranges, [2]int64{id, id})
		}
		if dropping {
			ranges[len(ranges)-1][1] = id
		}
		next = id + 1
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	if seen < limit {
		next = p.end
	}
	for _, r := range ranges {
		if _, err := conn.ExecContext(context.Background(), s.queries.delete, r[0], r[1]); err != nil {
			return 0, err
		}
	}
	return next, nil
}
