package memstreamer

import (
	"container/heap"
	"time"
)

// sweepLimit is how much one call drops at most. It is more than a call adds, an
// event or a closed cursor, so that sweeping keeps up with any traffic.
const sweepLimit = 64

// retention drops what is too old. It has no goroutine and no timer: the calls
// that take mu by lock each sweep a bounded amount. Times count from the
// streamer's epoch.
type retention struct {
	period time.Duration // 0 means keep forever; it never changes
	queue  queue
}

// past reports whether something of that time is older than the period.
func (r *retention) past(since, now time.Duration) bool {
	return r.period > 0 && now-since > r.period
}

// add queues t to expire a period after since. If it is queued already, that
// changes its time.
func (r *retention) add(t *ticket, since time.Duration) {
	switch {
	case r.period == 0:
	case t.place == 0:
		t.since = since
		heap.Push(&r.queue, t)
	case t.since != since:
		t.since = since
		heap.Fix(&r.queue, t.place-1)
	}
}

// remove takes t out of the queue if it is there.
func (r *retention) remove(t *ticket) {
	if t.place > 0 {
		heap.Remove(&r.queue, t.place-1)
	}
}

// sweep drops what has expired, the oldest first, up to the limit. It reports
// whether there is more.
func (r *retention) sweep(now time.Duration) (more bool) {
	for range sweepLimit {
		if r.queue.Len() == 0 || !r.past(r.queue.at(0).since, now) {
			return false
		}
		r.queue.at(0).of.expire()
	}
	return true
}

// ticket is the place in the queue of something that age may drop: the oldest
// event of a topic, or a cursor without a receiver.
type ticket struct {
	of    interface{ expire() } // expire removes or changes the ticket
	since time.Duration
	place int // in the queue, counted from 1; 0 while out of it
}

// queue is a heap, the oldest first: what is queued last need not be the youngest.
type queue struct{ tickets segments[*ticket] }

func (q *queue) at(i int) *ticket   { return *q.tickets.at(int64(i)) }
func (q *queue) Len() int           { return q.tickets.len() }
func (q *queue) Less(i, j int) bool { return q.at(i).since < q.at(j).since }

func (q *queue) Swap(i, j int) {
	a, b := q.tickets.at(int64(i)), q.tickets.at(int64(j))
	*a, *b = *b, *a
	(*a).place, (*b).place = i+1, j+1
}

func (q *queue) Push(x any) {
	t := x.(*ticket)
	q.tickets.push(t)
	t.place = q.Len()
}

func (q *queue) Pop() any {
	t := q.at(q.Len() - 1)
	q.tickets.dropLast()
	t.place = 0
	return t
}
