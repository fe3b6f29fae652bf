package memwatermill

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/memstreamer/memstreamer"
)

// group is what the subscriptions of one consumer group to one topic share in
// this process, whichever PubSub they come from.
//
// A position moves in order: nothing behind an unacknowledged message can be
// received. With several lanes, one subscription of the group at a time therefore
// deals: it moves each message from the topic to the topic of its lane, where the
// group has a position too.
type group struct {
	groupKey
	lanes   []*lane
	direct  func() bool // reports whether lanes[0] is the topic itself
	dealer  *lane
	members int // guarded by groups.mu
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

// join returns the group of key, of which the caller is a member until it calls
// leave.
func join(key groupKey, lanes int) (*group, error) {
	groups.mu.Lock()
	defer groups.mu.Unlock()
	g := groups.byKey[key]
	if g == nil {
		g = &group{groupKey: key, dealer: newLane()}
		for range lanes {
			g.lanes = append(g.lanes, newLane())
		}
		// A single lane needs no dealing, unless something is left of several.
		g.direct = sync.OnceValue(func() bool { return lanes == 1 && len(g.waiting()) == 0 })
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

// laneTopics returns the topics of the lanes of a group that is not direct.
func (g *group) laneTopics() []string {
	topics := make([]string, len(g.lanes))
	for i := range topics {
		topics[i] = laneName(g.laneBase(), i, len(g.lanes))
	}
	return topics
}

func (g *group) laneBase() string { return g.topic + laneMark + g.name }

// waiting returns how many messages wait in each lane of the group, of whatever
// number, in which any do. It finds none on a streamer without Stats. An ephemeral
// receiver of the group's name is not the group's.
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

// deal moves messages from the topic of g to its lanes, while it has the turn.
func (s *subscription) deal(g *group, from *cursor, lanes []sender) {
	if !g.dealer.take(s.running) {
		return
	}
	defer g.dealer.release()
	for more := s.drain(g, lanes); more; {
		more = s.dealNext(g.dealer, from, lanes)
	}
}

// drain deals anew what waits in lanes that nobody serves: those from when the group
// had another number of lanes. It comes before anything newer is dealt. It reports
// whether all was dealt.
func (s *subscription) drain(g *group, lanes []sender) bool {
	own := g.laneTopics()
	for _, old := range slices.Sorted(maps.Keys(g.waiting())) { // each run does the same
		if !slices.Contains(own, old) && !s.drainLane(g, old, lanes) {
			return false
		}
	}
	return true
}

func (s *subscription) drainLane(g *group, old string, lanes []sender) bool {
	c := s.cursor(old, g.name)
	defer c.close()
	if !s.retry(s.running, g.dealer, "Cannot read the messages of an old lane", c.reopen) {
		return false
	}
	// Count again, now that the open receiver keeps them from expiring: for one that is
	// gone, Recv would wait forever. And again after that, for those that were dealt
	// and could not be acked.
	for lag := g.waiting()[old]; lag > 0; lag = g.waiting()[old] {
		for range lag {
			if !s.dealNext(g.dealer, c, lanes) {
				return false
			}
		}
	}
	return true
}

// dealNext moves one message, and reports whether there may be more. What was
// sent and is not acked, as after a crash, is sent again.
func (s *subscription) dealNext(l *lane, from *cursor, lanes []sender) bool {
	e, ack, ok := s.receive(l, from)
	if !ok {
		return false
	}
	m := decode(e)
	lane := lanes[laneOf(s.p.config.LaneKey(m), len(lanes))]
	// As an envelope, an event of an engine's has no topic header to follow.
	return s.retry(s.running, l, "Cannot send a message to its lane", func() error { return send(s.grace, lane, m) }) &&
		s.commit(l, ack)
}

// lane gives its turn to one subscription of a group at a time.
type lane struct {
	turn     chan struct{} // full while nobody has it
	failures int           // in a row, Nacks and errors of the streamer; for whoever has the turn
}

func newLane() *lane {
	l := &lane{turn: make(chan struct{}, 1)}
	l.release()
	return l
}

// take waits for the turn, and reports whether it came before the end of ctx.
func (l *lane) take(ctx context.Context) bool {
	select {
	case <-l.turn:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *lane) release() { l.turn <- struct{}{} }

// laneMark separates the topic, group and number in the name of a lane's topic.
const laneMark = "#"

// laneName names the lane at index i of n: base#1/8 to base#8/8.
func laneName(base string, i, n int) string {
	return fmt.Sprintf("%s%s%d/%d", base, laneMark, i+1, n)
}

// laneNumber is what laneName adds to a base.
var laneNumber = regexp.MustCompile(laneMark + "[1-9][0-9]*/[1-9][0-9]*$")

// laneBase returns the base of a lane's name, and reports whether name is one.
func laneBase(name string) (base string, ok bool) {
	at := laneNumber.FindStringIndex(name)
	if at == nil {
		return "", false
	}
	return name[:at[0]], true
}

// refuseLane returns an error if topic is named like a lane's: its messages would
// mix with those of a group.
func refuseLane(topic string) error {
	if _, ok := laneBase(topic); ok {
		return fmt.Errorf("topic %q is named like a lane of a consumer group: name it otherwise", topic)
	}
	return nil
}

// laneOf returns the index of the lane of a key. It is the same in every process and
// every release: messages that wait in a lane would otherwise be overtaken.
func laneOf(key string, lanes int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % uint32(lanes))
}
