package memwatermill

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/memstreamer/memstreamer"
)

// group is what the subscriptions of one consumer group to one topic share in
// this process, from whichever PubSub they come.
//
// A cursor moves in order, so that nothing behind an un-acked message can be
// reached. With several lanes, one subscription of the group at a time therefore
// deals: it moves each message from the topic to that of its lane, at which the
// group has a cursor too.
type group struct {
	groupKey
	direct bool // lanes[0] is the topic itself; set by drainOldLanes
	lanes  []*lane
	dealer *lane

	members int // guarded by groups.mu

	draining *lane // whoever has its turn may drain the old lanes
	drained  bool
}

type groupKey struct {
	source memstreamer.EventStreamer
	topic  string
	name   string
}

// groups are those with members.
var groups = struct {
	mu    sync.Mutex
	byKey map[groupKey]*group
}{byKey: make(map[groupKey]*group)}

// join returns the group of p on topic, of which the caller is a member until it
// calls leave.
func join(ctx context.Context, p *PubSub, topic string) (*group, error) {
	g, err := enter(groupKey{p.source, topic, p.config.ConsumerGroup}, p.config.Lanes)
	if err != nil {
		return nil, err
	}
	if err := g.drainOldLanes(ctx, p); err != nil {
		g.leave()
		return nil, err
	}
	return g, nil
}

func enter(key groupKey, lanes int) (*group, error) {
	groups.mu.Lock()
	defer groups.mu.Unlock()
	g := groups.byKey[key]
	if g == nil {
		g = &group{groupKey: key, dealer: newLane(), draining: newLane()}
		for range lanes {
			g.lanes = append(g.lanes, newLane())
		}
		groups.byKey[key] = g
	}
	if len(g.lanes) != lanes {
		return nil, fmt.Errorf("group %q has %d lanes on topic %q: another subscriber cannot have %d", g.name, len(g.lanes), g.topic, lanes)
	}
	g.members++
	return g, nil
}

func (g *group) leave() {
	groups.mu.Lock()
	defer groups.mu.Unlock()
	g.members--
	if g.members == 0 {
		delete(groups.byKey, g.groupKey)
	}
}

// laneTopics are the topics of the lanes, where the group is not direct.
func (g *group) laneTopics() []string {
	topics := make([]string, len(g.lanes))
	for i := range topics {
		topics[i] = laneName(g.laneBase(), i, len(g.lanes))
	}
	return topics
}

func (g *group) laneBase() string { return g.topic + laneMark + g.name }

// drainOldLanes makes sure that nothing waits in lanes which nobody serves: those
// from when the group had another number of them. It is done once, by the first
// member, before a message is dealt or delivered.
func (g *group) drainOldLanes(ctx context.Context, p *PubSub) error {
	if !g.draining.take(ctx) {
		return ctx.Err()
	}
	defer g.draining.release()
	if g.drained {
		return nil
	}
	waiting, own := g.waiting(), g.laneTopics()
	// A single lane needs no dealing, unless something is left of several.
	g.direct = len(g.lanes) == 1 && len(waiting) == 0
	for _, old := range slices.Sorted(maps.Keys(waiting)) { // each run does the same
		if !slices.Contains(own, old) {
			if err := g.drain(ctx, p, old); err != nil {
				return fmt.Errorf("moving the messages that wait in %q: %w", old, err)
			}
		}
	}
	g.drained = true
	return nil
}

// waiting returns how many messages wait in each lane of the group, of whatever
// number, in which any do. Only a streamer with Stats can tell. An ephemeral receiver
// of the group's name is not the group's.
func (g *group) waiting() map[string]int64 {
	waiting := make(map[string]int64)
	if source, ok := g.source.(observable); ok {
		for _, r := range source.Stats().Receivers {
			if base, ok := laneBase(r.Topic); ok && base == g.laneBase() && r.Name == g.name && !r.Ephemeral && r.Lag > 0 {
				waiting[r.Topic] = r.Lag
			}
		}
	}
	return waiting
}

// drain deals the messages of an old lane anew, in order.
func (g *group) drain(ctx context.Context, p *PubSub, old string) error {
	s := &subscription{config: p.config, logger: p.logger, running: ctx, grace: ctx}
	defer s.close()
	senders, err := s.senders(p.streamer, g.laneTopics())
	if err != nil {
		return err
	}
	c, err := s.cursor(p.streamer, old, g.name)
	if err != nil {
		return err
	}
	// Count again, now that the open cursor keeps them from expiring: for one that is
	// gone, Recv would wait forever. And again after that, for those that were dealt
	// and could not be acked.
	for lag := g.waiting()[old]; lag > 0; lag = g.waiting()[old] {
		for range lag {
			if !s.dealNext(g.draining, c, senders) {
				return cmp.Or(ctx.Err(), memstreamer.ErrClosed)
			}
		}
	}
	return nil
}

// deal moves messages from the topic of g to its lanes, while it has the turn.
func (s *subscription) deal(g *group, from *cursor, senders []sender) {
	if !g.dealer.take(s.running) {
		return
	}
	defer g.dealer.release()
	for s.dealNext(g.dealer, from, senders) {
	}
}

// dealNext moves one message, and reports whether there may be more. What was
// sent and is not acked, as after a crash, is sent again.
func (s *subscription) dealNext(l *lane, from *cursor, lanes []sender) bool {
	e, ack, ok := s.receive(l, from)
	if !ok {
		return false
	}
	m := decode(e)
	lane := lanes[laneOf(s.config.LaneKey(m), len(lanes))]
	// As an envelope, an event of an engine's has no topic header to follow.
	return s.retry(s.running, l, "Cannot send a message to its lane", func() error { return send(s.grace, lane, m) }) &&
		s.commit(l, ack)
}
