package memstreamer

import (
	"container/heap"
	"time"
)

// sweepLimit is how much one call drops at most. It is more than a call adds, an
// event or a closed cursor, so that sweeping keeps up with any traffic.
const sweepLimit = 64

// retention drops what is too old. It has no goroutine and no timer: the calls
// that lock mu by lock each sweep a bounded amount. Times count from the
// streamer's epoch.
type retention struct {
	period time.Duration // 0 means keep forever; it never changes
	heap   expiryHeap
}

// past reports whether something of that time is older than the period.
func (r *retention) past(since, now time.Duration) bool {
	return r.period > 0 && now-since > r.period
}

// schedule queues e to expire a period after since. If e is queued, its time changes.
func (r *retention) schedule(e *expiry, since time.Duration) {
	switch {
	case r.period == 0:
	case e.place == 0:
		e.since = since
		heap.Push(&r.heap, e)
	case e.since != since:
		e.since = since
		heap.Fix(&r.heap, e.place-1)
	}
}

// cancel takes e out of the heap, if it is there.
func (r *retention) cancel(e *expiry) {
	if e.place > 0 {
		heap.Remove(&r.heap, e.place-1)
	}
}

// sweep drops what has expired, the oldest first, up to limit. It reports whether
// there may be more.
func (r *retention) sweep(now time.Duration, limit int) (more bool) {
	for range limit {
		if r.heap.Len() == 0 || !r.past(r.heap.at(0).since, now) {
			return false
		}
		r.heap.at(0).of.expire()
	}
	return true
}

// expiry is when something expires that age may drop: the oldest event of a topic,
// or a cursor without a receiver.
type expiry struct {
	of    expirer
	since time.Duration
	place int // in the heap, counted from 1; 0 while out of it
}

// expirer is a topic or a cursor: its expire cancels or reschedules its expiry.
type expirer interface{ expire() }

// expiryHeap is a heap, the oldest first: what is scheduled last need not be the
// youngest.
type expiryHeap struct{ expiries segments[*expiry] }

func (h *expiryHeap) at(i int) *expiry   { return *h.expiries.at(int64(i)) }
func (h *expiryHeap) Len() int           { return h.expiries.len() }
func (h *expiryHeap) Less(i, j int) bool { return h.at(i).since < h.at(j).since }

func (h *expiryHeap) Swap(i, j int) {
	a, b := h.expiries.at(int64(i)), h.expiries.at(int64(j))
	*a, *b = *b, *a
	(*a).place, (*b).place = i+1, j+1
}

func (h *expiryHeap) Push(x any) {
	e := x.(*expiry)
	h.expiries.push(e)
	e.place = h.Len()
}

func (h *expiryHeap) Pop() any {
	e := h.at(h.Len() - 1)
	h.expiries.dropLast()
	e.place = 0
	return e
}
