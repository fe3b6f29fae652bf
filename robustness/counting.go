package robustness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/memstreamer/memstreamer"
)

// CheckCounting checks h event by event, without a model of the streamer: each
// rule says what may follow what and, where calls overlapped, goes by what is
// certain. It returns what it found, in no order.
func CheckCounting(h *History) []Violation {
	c := newCounting(h)
	c.checkNumbers()
	c.checkDeliveries()
	c.checkOrder()
	c.checkLoss()
	c.checkStalls()
	c.checkErrors()
	return c.violations
}

// counting is a history with what the rules look up in it.
type counting struct {
	*timeline
	places map[string]int // of each event in its topic, by Key
	sends  map[string]*Op // by Key, those that failed too
	names  map[key]*name
	opens  map[int]*Op    // by handle
	closes map[int]*Op    // the first, by handle of receiver or sender
	shut   *Op            // the first
	last   map[string]*Op // the delivery of each event that was called last

	violations []Violation
}

// name is what happened to one (topic, name), in the order of the calls.
type name struct {
	key
	opens, closes, recvs, acks []*Op // those of recvs that returned an event
	latest                     bool  // StreamFromLatest was used
}

func newCounting(h *History) *counting {
	c := &counting{
		timeline: newTimeline(h),
		places:   map[string]int{},
		sends:    map[string]*Op{},
		names:    map[key]*name{},
		opens:    map[int]*Op{},
		closes:   map[int]*Op{},
		last:     map[string]*Op{},
	}
	for _, events := range c.events {
		for i, e := range events {
			c.places[e.send.Key] = i
		}
	}
	for i := range h.Ops {
		op := &h.Ops[i]
		n := c.names[op.key()]
		if n == nil {
			n = &name{key: op.key()}
			c.names[op.key()] = n
		}
		switch op.Kind {
		case Send:
			c.sends[op.Key] = op
		case Open:
			if op.ok() {
				n.opens = append(n.opens, op)
				n.latest = n.latest || op.Latest
				c.opens[op.Handle] = op
			}
		case Close, CloseSender:
			if c.closes[op.Handle] == nil {
				c.closes[op.Handle] = op
			}
			n.closes = append(n.closes, op)
		case Recv:
			if op.ok() {
				n.recvs = append(n.recvs, op)
				c.last[op.Key] = op
			}
		case Ack:
			n.acks = append(n.acks, op)
		case Shut:
			if c.shut == nil {
				c.shut = op
			}
		}
	}
	return c
}

func (c *counting) report(rule Rule, format string, args ...any) {
	c.violations = append(c.violations, Violation{rule, fmt.Sprintf(format, args...)})
}

// checkNumbers checks that IDs count the events from 1 on, in an order in which
// they can have been sent.
func (c *counting) checkNumbers() {
	all := slices.Concat(slices.Collect(maps.Values(c.events))...)
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

// checkDeliveries checks each event that was received on its own, and then
// what must have been received before it.
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
				continue
			}
			c.checkAcked(n, recv)
			c.checkSkipped(n, recv)
		}
	}
}

// checkAcked checks that no ack had committed the event of recv, or a later
// one, on the same cursor.
func (c *counting) checkAcked(n *name, recv *Op) {
	for _, ack := range n.acks {
		if !ack.before(recv) || c.places[ack.Key] < c.places[recv.Key] {
			continue
		}
		if !c.mayDiffer(n, c.opens[ack.Handle], c.opens[recv.Handle]) {
			c.report(Redelivered, "%v, after %v", recv, ack)
			return
		}
	}
}

// mayDiffer tells whether two receivers of n may not have had the same cursor.
func (c *counting) mayDiffer(n *name, first, second *Op) bool {
	if first == second {
		return false
	}
	return slices.ContainsFunc(n.opens, func(open *Op) bool {
		return open != first && open.Return > first.Call && open.Call < second.Return && c.mayBeForgotten(n, open)
	})
}

// mayBeForgotten tells whether open may not have found the cursor that there
// was before it.
func (c *counting) mayBeForgotten(n *name, open *Op) bool {
	return slices.ContainsFunc(n.closes, func(closing *Op) bool {
		if closing.Call > open.Return {
			return false
		}
		for _, other := range n.opens {
			between := closing.before(other) && other.before(open)
			closed := c.closes[other.Handle]
			across := other.before(closing) && (closed == nil || open.before(closed))
			if between || across {
				return false
			}
		}
		may, _ := c.forgettable(closing, open)
		return may
	})
}

// checkSkipped checks that nothing before the event of recv was kept from n:
// what no ack of n has committed, retention must have dropped, rightly and
// before the receiver was opened.
func (c *counting) checkSkipped(n *name, recv *Op) {
	open, next := c.opens[recv.Handle], 0
	for _, ack := range n.acks {
		if ack.Call < recv.Return {
			next = max(next, c.places[ack.Key]+1)
		}
	}
	for _, e := range c.events[recv.Topic][:c.places[recv.Key]][min(next, c.places[recv.Key]):] {
		last := c.last[e.send.Key]
		switch {
		case e.send.Call > open.Return || e.id == 0:
			c.report(Lost, "%v, and the receiver has not got the event of %v", recv, e.send)
		case n.latest:
			// It may have been sent before the cursor began.
		case !c.droppable(e, open.Return):
			c.report(Trimmed, "%v, and the event of %v was too young to be dropped", recv, e.send)
		case c.held(n, e, open.Return):
			c.report(Trimmed, "%v, and the event of %v was held by an open receiver", recv, e.send)
		case last != nil && recv.before(last):
			c.report(Trimmed, "%v, and the event of %v was still there: %v", recv, e.send, last)
		}
	}
}

// held tells whether a receiver of another name than n was open, and had not
// acked e, from before e was sent until a time.
func (c *counting) held(n *name, e event, until int64) bool {
	for _, other := range c.names {
		if other == n || other.topic != n.topic {
			continue
		}
		acked := slices.ContainsFunc(other.acks, func(ack *Op) bool {
			return ack.Call <= until && c.places[ack.Key] >= c.places[e.send.Key]
		})
		open := slices.ContainsFunc(other.opens, func(open *Op) bool {
			closed := c.closes[open.Handle]
			return open.before(e.send) && (closed == nil || closed.Call > until)
		})
		if open && !acked {
			return true
		}
	}
	return false
}

// checkOrder checks that no receiver ever went back.
func (c *counting) checkOrder() {
	for _, n := range c.names {
		for i, recv := range n.recvs {
			if _, ok := c.places[recv.Key]; !ok || c.sends[recv.Key].Topic != n.topic {
				continue // said already
			}
			for _, earlier := range n.recvs[:i] {
				back := c.places[recv.Key] < c.places[earlier.Key]
				if back && earlier.Handle == recv.Handle && earlier.before(recv) {
					c.report(Disordered, "%v, after %v", recv, earlier)
					break
				}
			}
		}
	}
}

// checkLoss checks that the auditor of each topic got all that was sent to it.
func (c *counting) checkLoss() {
	for topic, events := range c.events {
		got := map[string]bool{}
		if n := c.names[key{topic, Auditor}]; n != nil {
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
			if c.last[key] != nil {
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
