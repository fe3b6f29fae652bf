package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"
)

const (
	// sweptRows is how many events one transaction looks at, and how many names it
	// deletes: or twice as many as it writes, if that is more, so that sweeping
	// keeps up.
	sweptRows = 256
	// minSweepPause is the least time from one pass to the next.
	minSweepPause = 100 * time.Millisecond
)

// pass is a pass over the tables, which deletes what memory has dropped. Each
// transaction does a part, so that none is long. What a crash leaves is loaded and
// dropped again.
type pass struct {
	began     time.Time
	next, end int64            // the IDs that are left to sweep
	swept     int64            // next once the transaction under way is committed
	firsts    map[string]int64 // the ID of the oldest event in memory, by topic
	names     []name           // that were forgotten
}

// first returns an ID: memory has dropped what the topic had before it.
func (p *pass) first(topic string) int64 { return cmp.Or(p.firsts[topic], p.end) }

// sweep does a part of a pass in the transaction on conn. The names that it deletes
// join the batch. Where that is not committed, a later pass finds them again.
func (s *Streamer) sweep(conn *sql.Conn) error {
	p := &s.leader.pass
	if p.next >= p.end && len(p.names) == 0 {
		if s.opts.retention == 0 {
			return nil
		}
		now := s.opts.clock.Now()
		if since := now.Sub(p.began); 0 <= since && since < max(s.opts.retention/16, minSweepPause) {
			return nil
		}
		s.beginPass(now)
	}
	limit := max(sweptRows, 2*len(s.leader.batch))
	if err := s.sweepEvents(conn, limit); err != nil {
		return err
	}
	var forgotten []*op
	for _, n := range p.names[:min(len(p.names), limit)] {
		forgotten = append(forgotten, &op{kind: opName, name: n, done: make(chan struct{})})
	}
	if err := s.executeAll(conn, forgotten); err != nil {
		return err
	}
	p.names = p.names[len(forgotten):]
	s.leader.batch = append(s.leader.batch, forgotten...)
	return nil
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
// older than their topic's oldest.
func (s *Streamer) sweepEvents(conn *sql.Conn, limit int) error {
	p := &s.leader.pass
	found, err := conn.QueryContext(context.Background(), s.queries.between, p.next, p.end, limit)
	if err != nil {
		return err
	}
	defer found.Close()
	var dropped rows
	seen := 0
	for ; found.Next(); seen++ {
		var id int64
		var topic string
		if err := found.Scan(&id, &topic); err != nil {
			return err
		}
		if id < p.first(topic) {
			dropped.query = s.queries.delete
			dropped.args = append(dropped.args, id)
			dropped.n++
		}
		p.swept = id + 1
	}
	if err := errors.Join(found.Err(), found.Close()); err != nil {
		return err
	}
	if seen < limit {
		p.swept = p.end
	}
	return dropped.flush(conn)
}
