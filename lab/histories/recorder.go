package histories

import (
	"slices"
	"sync"
	"time"
)

// recorder records the calls of many goroutines.
type recorder struct {
	began time.Time

	mu      sync.Mutex
	seq     int64
	ops     []Op
	givenUp map[awaited]bool // waiting for these has taken too long
}

// awaited is an event that a consumer waits for.
type awaited struct {
	key
	event string
}

func newRecorder() *recorder {
	return &recorder{began: time.Now(), givenUp: map[awaited]bool{}}
}

// do records op and its call.
func (r *recorder) do(op Op, call func() error) error {
	place := r.begin(op)
	err := call()
	r.end(place, func(op *Op) { op.Err = err })
	return err
}

// begin records that op is about to be called, and returns its place.
func (r *recorder) begin(op Op) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	op.Call, op.CalledAt = r.seq, time.Since(r.began)
	r.ops = append(r.ops, op)
	return len(r.ops) - 1
}

// end records that the op at place has returned, with what set sets.
func (r *recorder) end(place int, set func(*Op)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	op := &r.ops[place]
	op.Return, op.EndedAt = r.seq, time.Since(r.began)
	set(op)
}

// waiting reports whether the Recv at place must return by itself.
func (r *recorder) waiting(place int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return closed(r.ops, place) || slices.ContainsFunc(waiting(r.ops, place), func(event string) bool {
		return !r.givenUp[awaited{r.ops[place].key(), event}]
	})
}

// giveUp records what the Recv at place has waited for in vain, if anything, so
// that nobody waits for it again.
func (r *recorder) giveUp(place int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	op := &r.ops[place]
	events := waiting(r.ops, place)
	for _, event := range events {
		r.givenUp[awaited{op.key(), event}] = true
	}
	op.Waited = len(events) > 0 || closed(r.ops, place)
}

func (r *recorder) progress() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

func (r *recorder) history(retention time.Duration, audited int64) *History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &History{Retention: retention, Ops: slices.Clone(r.ops), Audited: audited}
}

// waiting returns the keys of the events of which the Recv at place must return
// one: those sent after its receiver was opened that no receiver of its name has
// acked. Nothing may drop these.
func waiting(ops []Op, place int) []string {
	recv := &ops[place]
	var opened int64
	acked := map[string]bool{}
	for i := range ops {
		op := &ops[i]
		switch {
		case op.Kind == Open && op.Handle == recv.Handle:
			opened = op.Return
		case op.Kind == Ack && op.key() == recv.key() && (recv.Return == 0 || op.Call < recv.Return):
			acked[op.Key] = true
		}
	}
	in := map[string]int{}
	for i := range ops {
		if op := &ops[i]; op.Kind == Recv && op.In > 0 {
			in[op.Key] = op.In
		}
	}
	var keys []string
	for i := range ops {
		op := &ops[i]
		if recv.Shard > 0 && recv.Shard != in[op.Key] {
			continue // of another shard, as far as anybody knows
		}
		sent := op.Kind == Send && op.Topic == recv.Topic && op.Return > 0 && op.ok()
		if sent && op.Call > opened && !acked[op.Key] && (recv.Return == 0 || op.Return < recv.Return) {
			keys = append(keys, op.Key)
		}
	}
	return keys
}

// closed reports whether the receiver of the Recv at place, or the streamer, was
// closed before that returned or, if it has not returned, by now.
func closed(ops []Op, place int) bool {
	recv := &ops[place]
	return slices.ContainsFunc(ops, func(op Op) bool {
		closing := op.Kind == Close && op.Handle == recv.Handle || op.Kind == Shut
		return closing && op.Return > 0 && (recv.Return == 0 || op.Return < recv.Return)
	})
}
