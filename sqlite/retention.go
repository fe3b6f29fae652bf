package sqlite

import (
	"cmp"
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
	next, end int64            // the IDs that are left to sweep
	firsts    map[string]int64 // the ID of the oldest event in memory, by topic
	names     []name           // that were forgotten
}

// first returns an ID: memory has dropped what the topic had before it.
func (p *pass) first(topic string) int64 { return cmp.Or(p.firsts[topic], p.end) }

// sweep does a part of a pass in the transaction on conn, which adds so many
// events at most, and returns what it has written of names. The function that it
// returns is called once that is committed.
func (s *Streamer) sweep(conn *sql.Conn, added int) (forgotten []*op, committed func(), err error) {
	p := &s.leader.pass
	if p.next >= p.end && len(p.names) == 0 {
		now := s.opts.clock.Now()
		since := now.Sub(p.began)
		if s.opts.retention == 0 || 0 <= since && since < max(s.opts.retention/16, minSweepPause) {
			return nil, func() {}, nil
		}
		s.beginPass(now)
	}
	next, err := s.sweepEvents(conn, max(sweptEvents, 2*added))
	if err != nil {
		return nil, nil, err
	}
	names := p.names[:min(len(p.names), max(sweptNames, 2*added))]
	for _, n := range names {
		forgotten = append(forgotten, &op{kind: opName, name: n})
	}
	return forgotten, func() { p.next, p.names = next, p.names[len(names):] }, s.executeAll(conn, forgotten)
}

// beginPass sees what memory has dropped since the pass before began.
func (s *Streamer) beginPass(now time.Time) {
	p, before := &s.leader.pass, s.leader.pass.firsts
	// What was sent since may be gone, and its topic with it.
	p.began, p.next, p.end = now, p.end, s.leader.lastID+1
	p.firsts = make(map[string]int64)
	for _, t := range s.memory.Stats().Topics {
		if t.Retained > 0 {
			p.firsts[t.Topic] = t.FirstID
		}
	}
	for topic, id := range before {
		if id < p.first(topic) {
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
	found, err := conn.QueryContext(context.Background(), s.queries.between, p.next, p.end, limit)
	if err != nil {
		return 0, err
	}
	defer found.Close()
	dropped := rows{statement: statement{query: s.queries.delete}}
	seen := 0
	for ; found.Next(); seen++ {
		var id int64
		var topic string
		if err := found.Scan(&id, &topic); err != nil {
			return 0, err
		}
		if id < p.first(topic) {
			dropped.args = append(dropped.args, id)
			dropped.n++
		}
		next = id + 1
	}
	if err := errors.Join(found.Err(), found.Close()); err != nil {
		return 0, err
	}
	if seen < limit {
		next = p.end
	}
	return next, dropped.flush(conn)
}
