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
	name   *name
	random *rand.Rand
	lags   bool // rests with its receiver open, at times
}

func (r *receiver) run(during phases) {
	for during.all.Err() == nil {
		inner, err := r.name.openReceiver()
		if err != nil {
			r.name.failf("%s/%s: NewReceiver: %v", r.name.topic.topic, r.name.name, err)
			return
		}
		r.receive(during, inner)
		r.name.closeReceiver(inner)
		if r.random.IntN(100) == 0 {
			// Long enough for its cursor to be forgotten.
			rest(during.wild, r.name.retention+r.name.retention/2)
		}
	}
}

// receive receives until it crashes or is told to stop.
func (r *receiver) receive(during phases, inner memstreamer.EventReceiver) {
	var late delivery
	for {
		if r.lags && r.random.IntN(2000) == 0 {
			rest(during.wild, time.Duration(1+r.random.IntN(3))*r.name.retention)
		}
		mark := r.name.receiving()
		event, ack, err := inner.Recv(during.all)
		if err != nil {
			if during.all.Err() == nil {
				r.name.failf("%s/%s: Recv: %v", r.name.topic.topic, r.name.name, err)
			}
			return
		}
		d := r.name.check(event, mark, ack)
		chance := r.random.IntN(100)
		switch {
		case chance < 2 && during.wild.Err() == nil:
			return // with the event not acked
		case chance < 5:
			continue // to get it again
		case chance < 8 && late.ack != nil:
			r.name.ack(late)
		}
		r.name.ack(d)
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
