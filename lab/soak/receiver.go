package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/memstreamer/memstreamer"
)

// receiver receives for a name, in one goroutine. At times it crashes between
// Recv and Ack, and opens again.
type receiver struct {
	*name
	random *rand.Rand
	lags   bool // rests with its receiver open, at times
}

func (r *receiver) run(during phases) {
	for during.all.Err() == nil {
		inner := r.openReceiver(false, 0)
		if inner == nil {
			return
		}
		r.untilCrash(during, inner)
		r.closeReceiver(inner)
		if r.random.IntN(100) == 0 {
			// Long enough for its cursor to be forgotten.
			rest(during.wild, r.retention+r.retention/2)
		}
	}
}

// untilCrash receives until it crashes or is told to stop.
func (r *receiver) untilCrash(during phases, inner memstreamer.EventReceiver) {
	var late delivery
	for {
		if r.lags && r.random.IntN(2000) == 0 {
			rest(during.wild, time.Duration(1+r.random.IntN(3))*r.retention)
		}
		d, err := r.receive(during.all, inner)
		if err != nil {
			if during.all.Err() == nil {
				r.failf("Recv: %v", err)
			}
			return
		}
		chance := r.random.IntN(100)
		switch {
		case chance < 2 && during.wild.Err() == nil:
			return // with the event not acked
		case chance < 5:
			continue // to get it again
		case chance < 8 && late.ack != nil:
			r.ack(late)
		}
		r.ack(d)
		if late.ack == nil || r.random.IntN(10) == 0 {
			late = d
		}
	}
}

// rest waits for d, or until ctx is done.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
