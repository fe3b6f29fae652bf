package robustness

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/memstreamer/memstreamer"
)

// free returns how many events and cursors may be dropped.
func (m *model) free() (n int) {
	for name, topic := range m.topics {
		for place := topic.first; place < len(topic.events) && m.mayGo(name, place); place++ {
			n++
		}
	}
	for _, c := range m.cursors {
		if m.expired(c) {
			n++
		}
	}
	return n
}

func (m *model) expired(c *modelCursor) bool { return c.open == 0 && m.old(c.closed) }

// mayGo reports whether retention allows an event to be gone: it is past the
// period, and every name that is remembered has acked it.
func (m *model) mayGo(topic string, place int) bool {
	for _, c := range m.cursors {
		if c.topic == topic && c.next <= place && !m.expired(c) {
			return false
		}
	}
	return m.old(m.topics[topic].events[place].since)
}

// Check runs after every action.
func (m *model) Check(t *rapid.T) {
	if !m.idle {
		m.look(t)
	}
	m.idle = false
}

// look compares the Stats with the model.
func (m *model) look(t *rapid.T) {
	stats := m.streamer.Stats()
	if !slices.IsSortedFunc(stats.Topics, func(a, b memstreamer.TopicStats) int { return cmp.Compare(a.Topic, b.Topic) }) ||
		!slices.IsSortedFunc(stats.Receivers, func(a, b memstreamer.ReceiverStats) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Name, b.Name))
		}) {
		t.Fatalf("not in order: %+v", stats)
	}
	m.drop(t, stats)
	var want memstreamer.Stats
	for _, name := range topics {
		topic := m.topics[name]
		used := len(topic.kept()) > 0 || slices.ContainsFunc(m.senders, func(s *modelSender) bool { return s.topic == name })
		for _, k := range slices.SortedFunc(maps.Keys(m.cursors), func(a, b key) int { return cmp.Compare(a.name, b.name) }) {
			if k.topic == name {
				used = true
				want.Receivers = append(want.Receivers, m.receiverStats(m.cursors[k]))
			}
		}
		if !used {
			topic.sent = 0
			continue
		}
		want.Topics = append(want.Topics, topic.stats(name))
	}
	if n := m.free(); n > 0 {
		t.Fatalf("%d things could have been dropped and were not: %+v", n, stats)
	}
	if fmt.Sprintf("%+v", stats) != fmt.Sprintf("%+v", want) {
		t.Fatalf("Stats returned\n%+v, and not\n%+v", stats, want)
	}
}

// drop drops from the model what is gone from the Stats, and was free to go.
func (m *model) drop(t *rapid.T, stats memstreamer.Stats) {
	for k, c := range m.cursors {
		there := slices.ContainsFunc(stats.Receivers, func(r memstreamer.ReceiverStats) bool { return r.Topic == k.topic && r.Name == k.name })
		if !there && m.expired(c) {
			delete(m.cursors, k)
		}
	}
	for name, topic := range m.topics {
		first := int64(0)
		for _, s := range stats.Topics {
			if s.Topic == name {
				first = s.FirstID
			}
		}
		for len(topic.kept()) > 0 && (first == 0 || topic.kept()[0].ID < first) && m.mayGo(name, topic.first) {
			topic.first++
		}
	}
}

func (t *modelTopic) stats(name string) memstreamer.TopicStats {
	s := memstreamer.TopicStats{Topic: name, Retained: len(t.kept()), Sent: t.sent}
	if kept := t.kept(); len(kept) > 0 {
		s.FirstID, s.LastID = kept[0].ID, kept[len(kept)-1].ID
	}
	return s
}

func (m *model) receiverStats(c *modelCursor) memstreamer.ReceiverStats {
	waiting := m.topics[c.topic].events[c.next:]
	s := memstreamer.ReceiverStats{
		Topic: c.topic, Name: c.name, Open: c.open, Parked: c.parked, Lag: int64(len(waiting)),
		AckedID: c.ackedID, Acked: c.acked,
	}
	if len(waiting) > 0 {
		s.OldestUnacked, s.Deliveries = waiting[0].CreatedAt, c.deliveries
	}
	return s
}
