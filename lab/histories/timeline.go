package histories

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// timeline is a history with what the checkers look up in it.
type timeline struct {
	*History
	steps    []*Op
	events   map[part][]event // in the order of their IDs; of a shard, those that somebody received
	places   map[place]int    // of each event
	sends    map[string]*Op   // by Key, those that failed too
	received map[string]*Op   // by Key, the Recv that was called last
	names    map[key]*name
	closes   map[int]*Op // the first, by handle of receiver or sender
	shut     *Op         // the first
}

// name is what happened to one consumer, in the order of the calls.
type name struct {
	opens, closes, recvs, acks []*Op // those of opens and recvs that succeeded
}

// place is that of an event in a part of its topic.
type place struct {
	part
	event string // its Key
}

// event is one event of a topic, as the history tells of it.
type event struct {
	send *Op
	id   int64 // 0 when nobody received it

	// created is the earliest that its age can count from, and added the latest:
	// age never goes back within a topic.
	created, added time.Duration

	// since is when a call that can have dropped it may have read the clock.
	since int64
}

func newTimeline(h *History) *timeline {
	t := &timeline{
		History:  h,
		events:   map[part][]event{},
		places:   map[place]int{},
		sends:    map[string]*Op{},
		received: map[string]*Op{},
		names:    map[key]*name{},
		closes:   map[int]*Op{},
	}
	for i := range h.Ops {
		t.index(&h.Ops[i])
	}
	t.order()
	return t
}

// index files op under what it is of.
func (t *timeline) index(op *Op) {
	n := t.names[op.key()]
	if n == nil {
		n = &name{}
		t.names[op.key()] = n
	}
	switch op.Kind {
	case Send:
		t.sends[op.Key] = op
	case Open:
		if op.ok() {
			n.opens = append(n.opens, op)
		}
	case Close, CloseSender:
		if t.closes[op.Handle] == nil {
			t.closes[op.Handle] = op
		}
		n.closes = append(n.closes, op)
	case Recv:
		if op.ok() {
			n.recvs = append(n.recvs, op)
			t.received[op.Key] = op
		}
	case Ack:
		n.acks = append(n.acks, op)
	case Step:
		t.steps = append(t.steps, op)
	case Shut:
		if t.shut == nil {
			t.shut = op
		}
	}
}

// order gives each event that was sent its place in its topic.
func (t *timeline) order() {
	var unknown []event
	for i := range t.Ops {
		op := &t.Ops[i]
		if op.Kind != Send || !op.ok() {
			continue
		}
		e := event{send: op, since: t.running(op.Call)}
		if recv := t.received[op.Key]; recv != nil {
			e.id, e.created = recv.Event.ID, recv.Event.CreatedAt.Sub(epoch)
			e.added = e.created
			t.events[part{topic: op.Topic}] = append(t.events[part{topic: op.Topic}], e)
		} else {
			e.created, e.added = t.clockIn(op.Call, op.Return)
			unknown = append(unknown, e)
		}
	}
	for _, events := range t.events {
		sortByID(events)
	}
	// One that nobody received is where it can have been by the time of its Send.
	for _, e := range unknown {
		of := part{topic: e.send.Topic}
		events := t.events[of]
		i := slices.IndexFunc(events, func(other event) bool { return e.send.before(other.send) })
		if i < 0 {
			i = len(events)
		}
		t.events[of] = slices.Insert(events, i, e)
	}
	for of, events := range maps.Clone(t.events) {
		for i := range events {
			if i > 0 {
				events[i].added = max(events[i].added, events[i-1].added)
			}
			e := events[i]
			t.places[place{of, e.send.Key}] = i
			if recv := t.received[e.send.Key]; recv != nil {
				shard := part{of.topic, recv.In}
				t.places[place{shard, e.send.Key}] = len(t.events[shard])
				t.events[shard] = append(t.events[shard], e)
			}
		}
	}
}

// placeOf returns the place of op's event in the part that op is of, if it was sent there.
func (t *timeline) placeOf(op *Op) (at int64, sent bool) {
	i, ok := t.places[place{part{op.Topic, op.Shard}, op.Key}]
	return int64(i), ok
}

func sortByID(events []event) {
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.id, b.id) })
}

// clockIn returns the least and the greatest time that the streamer's clock
// told between from and to.
func (t *timeline) clockIn(from, to int64) (least, greatest time.Duration) {
	for _, step := range t.steps {
		if step.Call > to {
			break
		}
		if step.Call <= from {
			least, greatest = step.Now, step.Now
		} else {
			least, greatest = min(least, step.Now), max(greatest, step.Now)
		}
	}
	return least, greatest
}

// running returns since when a call has run that was running at a time: the
// clock as it read it, maybe long ago, is what it goes by.
func (t *timeline) running(at int64) int64 {
	for i := range t.Ops {
		op := &t.Ops[i]
		if op.Call >= at {
			break
		}
		if op.Return >= at {
			return op.Call
		}
	}
	return at
}

// start returns the least and the greatest place at which a cursor that open
// makes can start.
func (t *timeline) start(open *Op) (least, greatest int) {
	earliest, latest := t.clockIn(open.Call, open.Return)
	old := func(e event) bool {
		age := earliest - e.added
		return e.send.before(open) && (t.Retention > 0 && age > t.Retention || open.Last > 0 && age > open.Last)
	}
	mayBeOld := func(e event) bool {
		return e.send.Call < open.Return && (t.droppable(e, open.Return) || open.Last > 0 && latest-e.created > open.Last)
	}
	if open.Latest {
		old = func(e event) bool { return e.send.before(open) }
		mayBeOld = func(e event) bool { return e.send.Call < open.Return }
	}
	events := t.events[open.key().part]
	return prefix(events, old), prefix(events, mayBeOld)
}

// prefix returns how many events there are before the first that is not old.
func prefix(events []event, old func(event) bool) int {
	if i := slices.IndexFunc(events, func(e event) bool { return !old(e) }); i >= 0 {
		return i
	}
	return len(events)
}

// droppable reports whether retention allows e to be gone at the time until, if
// no name holds it.
func (t *timeline) droppable(e event, until int64) bool {
	_, peak := t.clockIn(e.since, until)
	return t.Retention > 0 && peak-e.created > t.Retention
}

// forgettable reports whether the cursor that closing left may have been
// forgotten by the return of open, and whether it must have been.
func (t *timeline) forgettable(closing, open *Op) (may, must bool) {
	earliest, latest := t.clockIn(closing.Call, closing.Return)
	now, _ := t.clockIn(open.Call, open.Return)
	_, peak := t.clockIn(t.running(closing.Call), open.Return)
	return t.Retention > 0 && peak-earliest > t.Retention, t.Retention > 0 && now-latest > t.Retention
}

// mayMake reports whether open may have found no cursor of its name, and so have
// made one.
func (t *timeline) mayMake(open *Op) bool {
	n := t.names[open.key()]
	first := !slices.ContainsFunc(n.opens, func(other *Op) bool { return other.before(open) })
	return first || slices.ContainsFunc(n.closes, func(closing *Op) bool {
		if closing.Call > open.Return {
			return false
		}
		for _, other := range n.opens {
			closed := t.closes[other.Handle]
			between := closing.before(other) && other.before(open)
			across := other.before(closing) && (closed == nil || open.before(closed))
			if between || across {
				return false
			}
		}
		may, _ := t.forgettable(closing, open)
		return may
	})
}

// makes reports whether open must have made a cursor: each receiver of its name
// that was opened before was closed too long ago.
func (t *timeline) makes(open *Op) bool {
	for _, other := range t.names[open.key()].opens {
		if other.Call >= open.Call {
			continue
		}
		closed := t.closes[other.Handle]
		if !other.before(open) || closed == nil || !closed.before(open) {
			return false
		}
		if _, must := t.forgettable(closed, open); !must {
			return false
		}
	}
	return true
}
