package robustness

import (
	"cmp"
	"slices"
	"time"

	"github.com/memstreamer/memstreamer"
)

// timeline is a history by its clock and its events.
type timeline struct {
	*History
	steps  []*Op
	events map[string][]event // by topic, in the order of their IDs
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
	t := &timeline{History: h, events: map[string][]event{}}
	received := map[string]*memstreamer.Event{}
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Kind == Step {
			t.steps = append(t.steps, op)
		}
		if op.Kind == Recv && op.ok() {
			received[op.Key] = &op.Event
		}
	}
	var unknown []event
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Kind != Send || !op.ok() {
			continue
		}
		if e := received[op.Key]; e != nil {
			created := e.CreatedAt.Sub(epoch)
			t.events[op.Topic] = append(t.events[op.Topic], event{op, e.ID, created, created, t.running(op.Call)})
			continue
		}
		least, greatest := t.clockIn(op.Call, op.Return)
		unknown = append(unknown, event{op, 0, least, greatest, t.running(op.Call)})
	}
	for _, events := range t.events {
		sortByID(events)
	}
	// One that nobody received is where it can have been by the time of its Send.
	for _, e := range unknown {
		events := t.events[e.send.Topic]
		i := slices.IndexFunc(events, func(other event) bool { return e.send.before(other.send) })
		if i < 0 {
			i = len(events)
		}
		t.events[e.send.Topic] = slices.Insert(events, i, e)
	}
	for _, events := range t.events {
		for i := range events[min(1, len(events)):] {
			events[i+1].added = max(events[i+1].added, events[i].added)
		}
	}
	return t
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
	now, _ := t.clockIn(open.Call, open.Return)
	old := func(e event) bool { return e.send.before(open) && t.Retention > 0 && now-e.added > t.Retention }
	mayBeOld := func(e event) bool { return e.send.Call < open.Return && t.droppable(e, open.Return) }
	if open.Latest {
		old = func(e event) bool { return e.send.before(open) }
		mayBeOld = func(e event) bool { return e.send.Call < open.Return }
	}
	events := t.events[open.Topic]
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
