package histories

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/judge"
)

// CheckCounting checks h event by event, without a model of the streamer: each
// rule says what may follow what and, where calls overlapped, goes by what is
// certain. It returns what it found, in no order.
func CheckCounting(h *History) []Violation {
	c := &counting{timeline: newTimeline(h)}
	c.checkNumbers()
	c.checkDeliveries()
	c.checkCursors()
	c.checkLoss()
	c.checkStalls()
	c.checkErrors()
	return c.violations
}

// counting is a history and what the rules find in it.
type counting struct {
	*timeline
	violations []Violation
}

func (c *counting) report(rule Rule, format string, args ...any) {
	c.violations = append(c.violations, Violation{rule, fmt.Sprintf(format, args...)})
}

// checkNumbers checks that IDs count the events from 1 on, in an order in which
// they can have been sent.
func (c *counting) checkNumbers() {
	var all []event
	for of, events := range c.events {
		if of.shard == 0 {
			all = append(all, events...)
		}
	}
	sortByID(all)
	var following *Op // of those after, the one that returned first
	for i, e := range slices.Backward(all) {
		if e.id == 0 {
			break
		}
		if i > 0 && all[i-1].id == e.id || e.id < 0 || e.id > int64(len(all)) {
			c.report(Misnumbered, "%v got ID %d, one of %d events", e.send, e.id, len(all))
		}
		if following != nil && following.before(e.send) {
			c.report(Disordered, "%v has the lower ID, and %v returned before", e.send, following)
		}
		if following == nil || e.send.Return < following.Return {
			following = e.send
		}
	}
}

// checkDeliveries checks each event that was received on its own.
func (c *counting) checkDeliveries() {
	ids := map[string]int64{}
	for _, n := range c.names {
		for _, recv := range n.recvs {
			send, e := c.sends[recv.Key], recv.Event
			if send == nil || !send.ok() || send.Call > recv.Return {
				c.report(Altered, "%v, which was not sent", recv)
				continue
			}
			if id, ok := ids[recv.Key]; ok && id != e.ID {
				c.report(Altered, "%v had ID %d before", recv, id)
			}
			ids[recv.Key] = e.ID
			created := e.CreatedAt.Sub(epoch)
			least, greatest := c.clockIn(send.Call, send.Return)
			if e.Type != send.Type || e.Headers[memstreamer.HeaderRunID] != send.Header || created < least || created > greatest {
				c.report(Altered, "%v returned %+v, of %v", recv, e, send)
			}
			if send.Topic != recv.Topic {
				c.report(Strayed, "%v, sent to %s", recv, send.Topic)
			}
			if recv.Shard > 0 && recv.Shard != recv.In {
				c.report(Strayed, "%v, which is in shard %d", recv, recv.In)
			}
		}
	}
}

// checkCursors checks that each name got the events of its topic in order, from
// where its cursor started, and none that it had acked.
func (c *counting) checkCursors() {
	cursors := map[key]*judge.Cursor{}
	for k := range c.names {
		cursors[k] = &judge.Cursor{}
	}
	type delivery struct {
		handle int
		key    string
	}
	receiving, received := map[*Op]judge.Mark{}, map[delivery]judge.Mark{}
	for _, m := range c.moments() {
		op, cursor, d := m.Op, cursors[m.key()], delivery{m.Handle, m.Key}
		place, sent := c.placeOf(op)
		switch {
		case op.Kind == Open && op.ok() && c.mayMake(op):
			if m.returns {
				cursor.Opened()
				continue
			}
			least, greatest := c.start(op)
			cursor.Opening(judge.Start{Low: int64(least), High: int64(greatest)}, c.makes(op))
		case op.Kind == Recv && op.ok() && sent:
			if !m.returns {
				receiving[op] = cursor.Receiving()
				continue
			}
			received[d] = receiving[op]
			switch low := cursor.Low(); cursor.Received(receiving[op], place) {
			case judge.Skipped:
				c.report(Lost, "%v, and an event before it was not acked", op)
			case judge.Behind:
				c.report(Behind, "%v, at place %d of its topic, and its name was at %d", op, place, low)
			}
		case op.Kind == Ack && sent:
			if !m.returns {
				cursor.Acking(place)
			} else if mark, ok := received[d]; ok {
				cursor.Acked(mark, place)
			}
		}
	}
}

// moment is when a call begins or returns.
type moment struct {
	*Op
	at      int64
	returns bool
}

// moments returns those of the history in order.
func (h *History) moments() []moment {
	var all []moment
	for i := range h.Ops {
		op := &h.Ops[i]
		all = append(all, moment{op, op.Call, false}, moment{op, op.Return, true})
	}
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	return all
}

// checkLoss checks that the auditor of each topic got all that was sent to it.
func (c *counting) checkLoss() {
	for of, events := range c.events {
		if of.shard > 0 {
			continue
		}
		got := map[string]bool{}
		if n := c.names[key{part: of, name: Auditor}]; n != nil {
			for _, recv := range n.recvs {
				got[recv.Key] = true
			}
		}
		for _, e := range events {
			if e.send.Call <= c.Audited && !got[e.send.Key] {
				c.report(Lost, "%v, which the auditor has not got", e.send)
			}
		}
	}
}

// checkStalls checks that each Recv that waited in vain had nothing to return.
func (c *counting) checkStalls() {
	for i := range c.Ops {
		op := &c.Ops[i]
		if !op.Waited {
			continue
		}
		if closed(c.Ops, i) {
			c.report(Stalled, "%v, though closed", op)
		}
		for _, key := range waiting(c.Ops, i) {
			// One that nobody ever received is lost: there was no wake-up for it.
			if c.received[key] != nil {
				c.report(Stalled, "%v, with the event of %v to return", op, c.sends[key])
				break
			}
		}
	}
}

// checkErrors checks that each call failed when it had to, and as it had to.
func (c *counting) checkErrors() {
	for i := range c.Ops {
		op := &c.Ops[i]
		var closed *Op
		switch op.Kind {
		case Send, Recv:
			closed = c.closes[op.Handle]
		case Open:
		default:
			if !op.ok() {
				c.report(Misreported, "%v", op)
			}
			continue
		}
		hadClosed := closed != nil && closed.before(op) || c.shut != nil && c.shut.before(op)
		mayBeClosed := closed != nil && closed.Call < op.Return || c.shut != nil && c.shut.Call < op.Return
		switch {
		case op.ok():
			if op.DoneBefore || hadClosed {
				c.report(Misreported, "%v succeeded; context done: %t, closed: %t", op, op.DoneBefore, hadClosed)
			}
		case errors.Is(op.Err, memstreamer.ErrClosed):
			if op.DoneBefore || !mayBeClosed {
				c.report(Misreported, "%v; context done: %t, closed: %t", op, op.DoneBefore, mayBeClosed)
			}
		case !errors.Is(op.Err, context.Canceled) || !op.Done:
			c.report(Misreported, "%v; context done: %t", op, op.Done)
		}
	}
}
