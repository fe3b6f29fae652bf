package reference

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Recv implements [memstreamer.EventReceiver]: it is recv, and the faults of that.
func (r *receiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	if err := r.recvWrongly(ctx); err != nil {
		return nil, nil, err
	}
	d, err := r.recv(ctx)
	switch {
	case err != nil:
		return nil, nil, r.failWrongly(ctx, err)
	case d == nil:
		return nil, nil, nil
	case r.does("acks what it delivers"):
		_ = d.ack()
	}
	return r.altered(&d.event), d.ack, nil
}

// recvWrongly returns the error of a Recv that a fault has fail before it begins.
func (r *receiver) recvWrongly(ctx context.Context) error {
	switch r.Does {
	case "has Recv notice a Close first":
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.closed {
			return memstreamer.ErrClosed
		}
	case "closes all receivers of the name":
		if _, closed := r.notes.Load(r.cursor); closed {
			return memstreamer.ErrClosed
		}
	case "delivers to one receiver of a name until the Ack":
		if holder, held := r.notes.LoadOrStore(r.cursor, r); held && holder != r {
			<-ctx.Done()
			return ctx.Err()
		}
	case "hangs in one call of four":
		if r.turn()%4 == 0 {
			<-ctx.Done()
			return ctx.Err()
		}
	case "starts one for each Recv": // a goroutine
		done := make(chan struct{})
		go close(done)
		<-done
	case "starts one for each Recv, which outlives that": // a goroutine
		go func() { <-r.Life.Done() }()
	}
	return nil
}

// failWrongly returns the error that a fault makes of err.
func (r *receiver) failWrongly(ctx context.Context, err error) error {
	switch {
	case r.does("has an error of its own for it") && errors.Is(err, memstreamer.ErrClosed):
		return ErrFault
	case ctx.Err() == nil:
	case r.does("returns the cause"):
		return context.Cause(ctx)
	case r.does("takes a deadline for a cancel"), r.does("returns an error of the standard library's"):
		return context.Canceled
	}
	return err
}

// passesOver reports whether a fault has the cursor move past e.
func (r *receiver) passesOver(e memstreamer.Event) bool {
	switch r.Does {
	case "acks an event when the next is asked for":
		return r.deliveries > 0
	case "gives up after ten deliveries":
		return r.deliveries == 10
	case "pins at the first Recv":
		newest, _ := r.notes.LoadOrStore(r.cursor, r.lastID)
		return e.ID <= newest.(int64)
	case "has one cursor for a name on all topics", "shares a cursor between topics":
		for _, t := range r.topics {
			if c := t.find(r.name, false); c != nil && c.ackedID > e.ID {
				r.shown.Add(1)
				return true
			}
		}
	case "counts StreamFromLast from the first Recv":
		if last, _ := r.notes.Load(lastOf(r.name)); last != nil && last != time.Duration(0) {
			from, _ := r.notes.LoadOrStore(r.cursor, r.clock.Now().Add(-last.(time.Duration)))
			return e.CreatedAt.Before(from.(time.Time))
		}
	case "takes its events with it":
		by, _ := r.notes.Load(e.ID)
		return by.(*sender).closed
	case "delivers to a Recv that has given up":
		_, lost := r.notes.LoadAndDelete(r)
		return lost
	case "passes over an event now and then":
		return e.ID%97 == 0
	case "has a shard pass over one of its own now and then":
		return r.shard.count > 0 && e.ID%13 == 0 && r.shows(r.Does)
	}
	return false
}

// parkWrongly reports whether it has waited in place of park.
func (r *receiver) parkWrongly(ctx context.Context, changed <-chan struct{}) bool {
	switch r.Does {
	case "does not wake on Send":
		<-ctx.Done()
	case "does not wake shards":
		if r.shard.count == 0 {
			return false
		}
		<-ctx.Done()
	case "wakes one receiver for each Send":
		if r.waiting() == 1 {
			return false
		}
		<-ctx.Done()
	case "loses a wake-up now and then":
		wait(ctx, changed)
		if r.ready() && r.every(10) {
			r.mu.Lock()
			changed = r.changed
			r.mu.Unlock()
			wait(ctx, changed)
		}
	case "polls":
		wait(ctx, time.After(5*time.Millisecond))
	case "does not wake on cancel":
		ctx.Done() // as if it were watched
		<-changed
	case "knows the standard library's alone":
		if !foreign(ctx) {
			return false
		}
		<-changed
	case "cancels all that wait":
		wait(ctx, changed)
		if ctx.Err() != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, t := range r.topics {
				r.wakeWrongly(t)
			}
		}
	case "delivers to a Recv that has given up":
		wait(ctx, changed)
		if ctx.Err() != nil {
			r.notes.Store(r, true)
		}
	case "starts one to watch the context": // a goroutine
		returned := make(chan struct{})
		defer close(returned)
		go wait(ctx, returned)
		wait(ctx, changed)
	default:
		return false
	}
	return true
}

// wakeWrongly has each Recv that is parked on t fail.
func (s *Streamer) wakeWrongly(t *topic) {
	s.notes.Store((<-chan struct{})(t.changed), true)
	t.change()
}

// wokenWrongly returns the error of a Recv that wakeWrongly has woken.
func (r *receiver) wokenWrongly(changed <-chan struct{}) error {
	_, wrong := r.notes.Load(changed)
	switch {
	case wrong && r.does("cancels all that wait"):
		return context.Canceled
	case wrong && r.does("wakes the other receivers of the topic"):
		return memstreamer.ErrClosed
	}
	return nil
}

// ready reports whether there is an event for r.
func (r *receiver) ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next < r.end() && !r.closed && !r.Streamer.closed
}

// waiting returns how many calls of Recv are parked on the topic.
func (r *receiver) waiting() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.cursors {
		n += c.parked
	}
	return n
}

// foreign reports whether a context that a test has wrapped is not the standard
// library's.
func foreign(ctx context.Context) bool {
	wrapped := reflect.Indirect(reflect.ValueOf(ctx)).FieldByName("Context")
	return wrapped.IsValid() && reflect.Indirect(wrapped.Elem()).Type().PkgPath() != "context"
}

// ackWrongly reports whether it has done what ack would.
func (d *delivery) ackWrongly() (bool, error) {
	switch d.Does {
	case "does not commit":
		return true, nil
	case "ignores an Ack in a hundred":
		return d.turn()%100 == 0, nil
	case "refuses a second Ack":
		return d.acks.Add(1) > 1, ErrFault
	case "refuses an Ack beside another":
		if !d.acks.CompareAndSwap(0, 1) {
			return true, ErrFault
		}
		defer d.acks.Store(0)
		time.Sleep(10 * time.Millisecond)
	case "refuses an Ack after the context":
		return d.ctx.Err() != nil, d.ctx.Err()
	case "ignores an Ack after the context":
		return d.ctx.Err() != nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	late := d.place+1 < d.next && d.remembers(d.cursor)
	switch d.Does {
	case "refuses an Ack after the receiver's Close":
		return d.closed, memstreamer.ErrClosed
	case "ignores an Ack after the receiver's Close":
		return d.closed, nil
	case "refuses an Ack after the streamer's Close":
		return d.Streamer.closed, memstreamer.ErrClosed
	case "refuses an Ack after an ephemeral receiver's Close":
		return d.closed && d.ephemeral, memstreamer.ErrClosed
	case "acks for all of the name after an ephemeral receiver's Close":
		for _, c := range d.cursors {
			if d.closed && d.ephemeral && c.name == d.name && c.next == d.place {
				c.commit()
			}
		}
	case "refuses a late Ack":
		return late, ErrFault
	case "goes back for a late Ack", "rewinds on a late ack":
		if late && (d.does("goes back for a late Ack") || d.every(10)) {
			d.next = max(d.place+1, d.dropped)
		}
	case "moves on by one with each Ack":
		d.commit()
		return true, nil
	case "delivers to one receiver of a name until the Ack":
		d.notes.Delete(d.cursor)
	}
	return false, nil
}

// closeWrongly reports whether it has done what Close would.
func (r *receiver) closeWrongly() (bool, error) {
	switch r.Does {
	case "receives after Close":
		return true, nil
	case "refuses a second Close of a receiver":
		return r.closed, ErrFault
	case "refuses to close a receiver of a closed streamer":
		return r.Streamer.closed, ErrFault
	case "closes all receivers of the name":
		r.notes.Store(r.cursor, true)
	case "wakes the other receivers of the topic":
		r.wakeWrongly(r.cursor.topic)
	case "acks on Close":
		if r.deliveries > 0 {
			r.commit()
		}
	case "forgets a cursor that was never acked":
		if r.acked == 0 {
			r.forget(r.cursor)
		}
	case "stores the position of an ephemeral receiver":
		r.ephemeral = false
	case "forgets the consumer of the name with an ephemeral receiver":
		if r.ephemeral {
			r.forget(r.find(r.name, false))
		}
	}
	return false, nil
}
